import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.s3.AmazonS3;
import com.amazonaws.services.s3.AmazonS3ClientBuilder;
import com.amazonaws.services.s3.model.AmazonS3Exception;
import com.amazonaws.services.s3.model.DeleteObjectsRequest;
import com.amazonaws.services.s3.model.GetObjectRequest;
import com.amazonaws.services.s3.model.ListObjectsRequest;
import com.amazonaws.services.s3.model.ListObjectsV2Request;
import com.amazonaws.services.s3.model.ObjectMetadata;
import com.amazonaws.services.s3.model.PutObjectRequest;
import com.amazonaws.services.s3.transfer.TransferManagerBuilder;
import com.amazonaws.util.IOUtils;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;

/** The AWS SDK for Java 1.x against the S3 front: it compares ETags with the MD5 of what it sent and got. */
public final class Version1 {
    private static final String BUCKET = "sdk-java-1";

    public static void main(String[] arguments) throws Exception {
        var key = new BasicAWSCredentials(System.getenv("AWS_ACCESS_KEY_ID"), System.getenv("AWS_SECRET_ACCESS_KEY"));
        AmazonS3 s3 = AmazonS3ClientBuilder.standard()
            .withCredentials(new AWSStaticCredentialsProvider(key))
            // Any region may be signed for.
            .withEndpointConfiguration(new EndpointConfiguration(System.getenv("S3_URL"), "eu-west-3"))
            .withPathStyleAccessEnabled(true)
            .build();
        s3.createBucket(BUCKET);
        objects(s3);
        parts(s3);
        listings(s3);
        many(s3);
        s3.shutdown();
        System.out.println("ok");
    }

    /** Signed chunks, unless told otherwise; the SDK itself compares the MD5 with the ETag, both ways. */
    private static void objects(AmazonS3 s3) throws Exception {
        byte[] body = Check.content("objects", 3_000_001);
        var metadata = new ObjectMetadata();
        metadata.setContentLength(body.length);
        metadata.setContentEncoding("gzip");
        metadata.addUserMetadata("name", "value");
        var put = s3.putObject(BUCKET, "stream", new ByteArrayInputStream(body), metadata);
        Check.that(put.getETag().equals(Check.md5(body)), "the ETag is an MD5");
        var got = s3.getObject(BUCKET, "stream");
        Check.that("gzip".equals(got.getObjectMetadata().getContentEncoding()), "aws-chunked is no encoding");
        Check.same(body, IOUtils.toByteArray(got.getObjectContent()), "the stream");
        var range = s3.getObject(new GetObjectRequest(BUCKET, "stream").withRange(1000, 1999));
        Check.same(java.util.Arrays.copyOfRange(body, 1000, 2000), IOUtils.toByteArray(range.getObjectContent()), "a range");
        for (String name : Check.KEYS) {
            s3.putObject(BUCKET, name, name);
            Check.that(s3.getObjectAsString(BUCKET, name).equals(name), name);
        }
        try {
            s3.getObject(BUCKET, "never");
            throw new AssertionError("a key that is not there was read");
        } catch (AmazonS3Exception refusal) {
            Check.that(refusal.getStatusCode() == 404 && refusal.getErrorCode().equals("NoSuchKey"), refusal);
            Check.that(refusal.getRequestId() != null && refusal.getExtendedRequestId() != null, "ids");
        }
    }

    private static void parts(AmazonS3 s3) throws Exception {
        byte[] body = Check.content("parts", 17_000_000);
        File file = File.createTempFile("parts", null);
        Files.write(file.toPath(), body);
        var transfers = TransferManagerBuilder.standard().withS3Client(s3)
            .withMultipartUploadThreshold(6L << 20).withMinimumUploadPartSize(5L << 20).build();
        try {
            var done = transfers.upload(new PutObjectRequest(BUCKET, "parts", file)).waitForUploadResult();
            Check.that(done.getETag().matches("[0-9a-f]{32}-\\d+"), done.getETag());
            transfers.download(BUCKET, "parts", file).waitForCompletion();
        } finally {
            transfers.shutdownNow(false);
        }
        Check.same(body, Files.readAllBytes(file.toPath()), "the parts");
        Check.that(file.delete(), "the file goes");
    }

    /** Version 1 of the listing goes on from NextMarker. */
    private static void listings(AmazonS3 s3) {
        for (String name : List.of("l/a/1", "l/a/2", "l/b/1", "l/c", "l/d")) {
            s3.putObject(BUCKET, name, "");
        }
        var found = new ArrayList<String>();
        var page = s3.listObjects(new ListObjectsRequest(BUCKET, "l/", null, "/", 1));
        for (;; page = s3.listNextBatchOfObjects(page)) {
            found.addAll(page.getCommonPrefixes());
            page.getObjectSummaries().forEach(each -> found.add(each.getKey()));
            if (!page.isTruncated()) {
                break;
            }
        }
        Check.that(found.equals(List.of("l/a/", "l/b/", "l/c", "l/d")), found);
        var second = s3.listObjectsV2(new ListObjectsV2Request().withBucketName(BUCKET).withPrefix("l/").withMaxKeys(2));
        Check.that(second.isTruncated() && second.getObjectSummaries().size() == 2, second);
    }

    /** With Content-MD5, as before 2025. */
    private static void many(AmazonS3 s3) {
        var answer = s3.deleteObjects(new DeleteObjectsRequest(BUCKET).withKeys("l/a/1", "l/a/2", "l/never"));
        Check.that(answer.getDeletedObjects().size() == 3, answer);
    }
}
