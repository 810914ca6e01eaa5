import com.amazonaws.ClientConfiguration;
import com.amazonaws.Protocol;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.services.s3.AmazonS3Client;
import com.amazonaws.services.s3.S3ClientOptions;
import com.amazonaws.services.s3.model.ObjectMetadata;
import com.amazonaws.services.s3.model.S3Object;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.util.Arrays;

/** What Hadoop 2.7's S3A asks of the SDK: it looks for response headers by their exact spelling. */
public final class Hadoop27 {
    public static void main(String[] arguments) throws Exception {
        System.setProperty("com.amazonaws.services.s3.enableV4", "true");
        ClientConfiguration configuration = new ClientConfiguration();
        configuration.setProtocol(Protocol.HTTP);
        configuration.setMaxErrorRetry(0);
        AmazonS3Client client = new AmazonS3Client(
            new BasicAWSCredentials(System.getenv("AWS_ACCESS_KEY_ID"), System.getenv("AWS_SECRET_ACCESS_KEY")), configuration);
        client.setEndpoint(System.getenv("S3_URL"), "s3", System.getenv("AWS_REGION"));
        client.setS3ClientOptions(new S3ClientOptions().withPathStyleAccess(true));

        String bucket = "java-17";
        client.createBucket(bucket);
        byte[] content = new byte[100_000];
        Arrays.fill(content, (byte) 7);
        ObjectMetadata described = new ObjectMetadata();
        described.setContentLength(content.length);
        described.setContentType("text/x-said");
        String tag = client.putObject(bucket, "dir/key", new ByteArrayInputStream(content), described).getETag();

        ObjectMetadata found = client.getObjectMetadata(bucket, "dir/key");
        check(found.getContentLength() == content.length, "length " + found.getContentLength());
        check(tag.equals(found.getETag()), "tag " + found.getETag());
        check("text/x-said".equals(found.getContentType()), "type " + found.getContentType());
        check(found.getLastModified() != null, "no time");
        S3Object object = client.getObject(bucket, "dir/key");
        try (InputStream bytes = object.getObjectContent()) {
            check(Arrays.equals(bytes.readAllBytes(), content), "other bytes");
        }
        check(client.listObjects(bucket).getObjectSummaries().size() == 1, "listing");
        client.deleteObject(bucket, "dir/key");
        client.deleteBucket(bucket);
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
