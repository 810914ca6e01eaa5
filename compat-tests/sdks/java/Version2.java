import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.ChecksumMode;
import software.amazon.awssdk.services.s3.model.CommonPrefix;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** The AWS SDK for Java 2.x against the S3 front: trailers on every put, and Expect: 100-continue. */
public final class Version2 {
    private static final String BUCKET = "sdk-java-2";
    private static final URI ENDPOINT = URI.create(System.getenv("S3_URL"));
    // Any region may be signed for.
    private static final Region REGION = Region.EU_WEST_3;

    public static void main(String[] arguments) throws Exception {
        try (S3Client s3 = S3Client.builder().endpointOverride(ENDPOINT).region(REGION).forcePathStyle(true)
                .overrideConfiguration(c -> c.retryStrategy(r -> r.maxAttempts(1))).build()) {
            s3.createBucket(b -> b.bucket(BUCKET));
            checksums(s3);
            conditions(s3);
            listings(s3);
            many(s3);
            asynchronous(s3);
            presigned(s3);
        }
        try (S3Client old = S3Client.builder().endpointOverride(ENDPOINT).region(REGION).forcePathStyle(true)
                .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED).build()) {
            byte[] body = Check.content("old", 100_000);
            old.putObject(b -> b.bucket(BUCKET).key("old"), RequestBody.fromBytes(body));
            Check.same(body, old.getObjectAsBytes(b -> b.bucket(BUCKET).key("old")).asByteArray(), "as before 2025");
        }
        System.out.println("ok");
    }

    private static byte[] get(S3Client s3, String key) {
        return s3.getObjectAsBytes(b -> b.bucket(BUCKET).key(key)).asByteArray();
    }

    private static void refused(int status, String code, Runnable call) {
        try {
            call.run();
        } catch (S3Exception refusal) {
            Check.that(refusal.statusCode() == status && code.equals(refusal.awsErrorDetails().errorCode()), refusal);
            Check.that(refusal.requestId() != null && refusal.extendedRequestId() != null, "ids");
            return;
        }
        throw new AssertionError(code + " expected");
    }

    private static void checksums(S3Client s3) throws Exception {
        byte[] body = Check.content("stream", 3_000_001);
        var put = s3.putObject(b -> b.bucket(BUCKET).key("stream").contentEncoding("gzip"),
            RequestBody.fromInputStream(new ByteArrayInputStream(body), body.length));
        Check.that(put.eTag().equals('"' + Check.md5(body) + '"'), "the ETag is an MD5");
        Check.that(put.checksumCRC32() != null, "CRC32 is the default");
        var head = s3.headObject(b -> b.bucket(BUCKET).key("stream").checksumMode(ChecksumMode.ENABLED));
        Check.that("gzip".equals(head.contentEncoding()), "aws-chunked is no encoding: " + head.contentEncoding());
        Check.that(put.checksumCRC32().equals(head.checksumCRC32()), "kept");
        Check.same(body, get(s3, "stream"), "the stream");
        for (ChecksumAlgorithm algorithm : List.of(ChecksumAlgorithm.CRC32_C, ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256)) {
            s3.putObject(b -> b.bucket(BUCKET).key("with-" + algorithm).checksumAlgorithm(algorithm), RequestBody.fromBytes(body));
            Check.same(body, get(s3, "with-" + algorithm), algorithm.toString());
        }
        // Its trailer is announced, and its value sent as a header.
        s3.putObject(b -> b.bucket(BUCKET).key("declared").checksumCRC32(put.checksumCRC32()), RequestBody.fromBytes(body));
        refused(400, "BadDigest",
            () -> s3.putObject(b -> b.bucket(BUCKET).key("bad").checksumCRC32("AAAAAA=="), RequestBody.fromBytes(body)));
        var range = s3.getObjectAsBytes(b -> b.bucket(BUCKET).key("stream").range("bytes=1000-1999").checksumMode(ChecksumMode.ENABLED));
        Check.that(range.response().checksumCRC32() == null, "no checksum of the whole on a range");
        Check.same(Arrays.copyOfRange(body, 1000, 2000), range.asByteArray(), "a range");
        for (String name : Check.KEYS) {
            s3.putObject(b -> b.bucket(BUCKET).key(name), RequestBody.fromString(name));
            Check.that(new String(get(s3, name), "UTF-8").equals(name), name);
        }
    }

    private static void conditions(S3Client s3) {
        var nothing = RequestBody.empty();
        refused(404, "NoSuchKey", () -> s3.putObject(b -> b.bucket(BUCKET).key("c").ifMatch("\"0\""), nothing));
        s3.putObject(b -> b.bucket(BUCKET).key("c").ifNoneMatch("*"), nothing);
        refused(412, "PreconditionFailed", () -> s3.putObject(b -> b.bucket(BUCKET).key("c").ifNoneMatch("*"), nothing));
        try {
            s3.getObject(b -> b.bucket(BUCKET).key("never"));
            throw new AssertionError("a key that is not there was read");
        } catch (NoSuchKeyException expected) {
            Check.that(expected.statusCode() == 404, expected);
        }
    }

    private static void listings(S3Client s3) {
        for (String name : List.of("l/a/1", "l/a/2", "l/b/1", "l/c", "l/d")) {
            s3.putObject(b -> b.bucket(BUCKET).key(name), RequestBody.empty());
        }
        var found = new ArrayList<String>();
        s3.listObjectsV2Paginator(b -> b.bucket(BUCKET).prefix("l/").delimiter("/").maxKeys(1)).forEach(page -> {
            page.commonPrefixes().stream().map(CommonPrefix::prefix).forEach(found::add);
            page.contents().stream().map(S3Object::key).forEach(found::add);
        });
        Check.that(found.equals(List.of("l/a/", "l/b/", "l/c", "l/d")), found);
    }

    /** With nothing but a checksum. */
    private static void many(S3Client s3) {
        var names = List.of("l/a/1", "l/a/2", "l/never").stream().map(name -> ObjectIdentifier.builder().key(name).build()).toList();
        var answer = s3.deleteObjects(b -> b.bucket(BUCKET).delete(d -> d.objects(names)));
        Check.that(answer.deleted().size() == 3 && answer.errors().isEmpty(), answer);
    }

    /** The asynchronous client cuts large objects into parts by itself, and reads them by part number. */
    private static void asynchronous(S3Client s3) {
        byte[] body = Check.content("parts", 17_000_000);
        try (S3AsyncClient parts = S3AsyncClient.builder().endpointOverride(ENDPOINT).region(REGION).forcePathStyle(true)
                .multipartEnabled(true).multipartConfiguration(c -> c.thresholdInBytes(6L << 20).minimumPartSizeInBytes(5L << 20))
                .build()) {
            var put = parts.putObject(b -> b.bucket(BUCKET).key("parts"), AsyncRequestBody.fromBytes(body)).join();
            Check.that(put.eTag().matches("\"[0-9a-f]{32}-4\""), put.eTag());
            ResponseBytes<GetObjectResponse> got =
                parts.getObject(b -> b.bucket(BUCKET).key("parts"), AsyncResponseTransformer.toBytes()).join();
            Check.same(body, got.asByteArray(), "the parts");
        }
        Check.same(body, get(s3, "parts"), "the parts at once");
    }

    private static void presigned(S3Client s3) throws Exception {
        try (S3Presigner signer = S3Presigner.builder().endpointOverride(ENDPOINT).region(REGION).s3Client(s3).build()) {
            var url = signer.presignPutObject(p -> p.signatureDuration(Duration.ofMinutes(1))
                .putObjectRequest(b -> b.bucket(BUCKET).key("signed"))).url().toURI();
            var http = HttpClient.newHttpClient();
            var put = HttpRequest.newBuilder(url).PUT(HttpRequest.BodyPublishers.ofString("signed"));
            Check.that(http.send(put.build(), BodyHandlers.ofString()).statusCode() == 200, "a presigned put");
            put.header("x-amz-copy-source", BUCKET + "/stream");
            Check.that(http.send(put.build(), BodyHandlers.ofString()).statusCode() == 403, "a header that was not signed");
            Check.that(new String(get(s3, "signed")).equals("signed"), "nothing else was done");
        }
    }
}
