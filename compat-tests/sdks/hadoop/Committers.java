import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.LongWritable;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.mapreduce.Job;
import org.apache.hadoop.mapreduce.Mapper;
import org.apache.hadoop.mapreduce.lib.input.FileInputFormat;
import org.apache.hadoop.mapreduce.lib.output.FileOutputFormat;

/** S3A as a file system, and a job whose output comes to be by each of its committers: uploads completed at the end. */
public final class Committers {
    private static final String BUCKET = "s3a://hadoop/";

    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        configuration.set("fs.defaultFS", "file:///");
        configuration.set("fs.s3a.endpoint", System.getenv("S3_URL"));
        configuration.set("fs.s3a.endpoint.region", System.getenv("AWS_REGION"));
        configuration.set("fs.s3a.access.key", System.getenv("AWS_ACCESS_KEY_ID"));
        configuration.set("fs.s3a.secret.key", System.getenv("AWS_SECRET_ACCESS_KEY"));
        configuration.set("fs.s3a.path.style.access", "true");
        configuration.set("fs.s3a.connection.ssl.enabled", "false");
        configuration.set("fs.s3a.multipart.size", "5M");
        configuration.set("fs.s3a.attempts.maximum", "1");
        configuration.set("fs.s3a.retry.limit", "1");
        configuration.set("fs.s3a.buffer.dir", System.getenv("WORK") + "/buffer");
        configuration.set("hadoop.tmp.dir", System.getenv("WORK") + "/tmp");
        configuration.set("mapreduce.outputcommitter.factory.scheme.s3a", "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory");

        FileSystem files = FileSystem.get(new URI(BUCKET), configuration);
        fileSystem(files);
        StringBuilder lines = new StringBuilder();
        for (int line = 0; line < 1000; line++) {
            lines.append("line ").append(line).append('\n');
        }
        write(files, "in/lines", lines.toString().getBytes(StandardCharsets.UTF_8));
        for (String committer : new String[] {"magic", "directory", "partitioned"}) {
            job(new Configuration(configuration), files, committer);
        }
        files.delete(new Path(BUCKET), true);
    }

    private static void fileSystem(FileSystem files) throws Exception {
        byte[] large = new byte[12_000_000];
        new java.util.Random(1).nextBytes(large);
        write(files, "dir one/large", large);
        check(files.getFileStatus(new Path(BUCKET + "dir one/large")).getLen() == large.length, "length");
        check(files.getFileStatus(new Path(BUCKET + "dir one")).isDirectory(), "directory");
        byte[] read = new byte[1000];
        try (FSDataInputStream in = files.open(new Path(BUCKET + "dir one/large"))) {
            in.readFully(7_000_000, read);
        }
        check(java.util.Arrays.equals(read, java.util.Arrays.copyOfRange(large, 7_000_000, 7_001_000)), "range");
        check(files.rename(new Path(BUCKET + "dir one"), new Path(BUCKET + "dir two")), "rename");
        check(files.listStatus(new Path(BUCKET + "dir two")).length == 1, "listing");
        check(!files.exists(new Path(BUCKET + "dir one")), "the old name is still there");
        check(files.delete(new Path(BUCKET + "dir two"), true), "delete");
    }

    private static void write(FileSystem files, String name, byte[] content) throws Exception {
        try (OutputStream out = files.create(new Path(BUCKET + name), true)) {
            out.write(content);
        }
    }

    private static void job(Configuration configuration, FileSystem files, String committer) throws Exception {
        configuration.set("fs.s3a.committer.name", committer);
        configuration.set("fs.s3a.committer.magic.enabled", "true");
        configuration.set("fs.s3a.committer.staging.tmp.path", "file://" + System.getenv("WORK") + "/staging");
        Path out = new Path(BUCKET + "out-" + committer);
        Job job = Job.getInstance(configuration, committer);
        job.setMapperClass(Mapper.class);
        job.setNumReduceTasks(0);
        job.setOutputKeyClass(LongWritable.class);
        job.setOutputValueClass(Text.class);
        FileInputFormat.addInputPath(job, new Path(BUCKET + "in"));
        FileOutputFormat.setOutputPath(job, out);
        check(job.waitForCompletion(false), committer + ": the job failed");
        long lines = 0;
        for (FileStatus found : files.listStatus(out)) {
            if (found.getPath().getName().startsWith("part-")) {
                try (FSDataInputStream in = files.open(found.getPath())) {
                    byte[] content = new byte[(int) found.getLen()];
                    in.readFully(content);
                    lines += new String(content, StandardCharsets.UTF_8).lines().count();
                }
            }
        }
        check(lines == 1000, committer + ": " + lines + " lines");
        try (FSDataInputStream success = files.open(new Path(out, "_SUCCESS"))) {
            // Hadoop's own committer leaves it empty; those of S3A say who they are.
            check(success.read() == '{', committer + ": another committer was used");
        }
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
