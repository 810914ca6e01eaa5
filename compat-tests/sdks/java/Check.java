import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;

/** What both suites share. */
final class Check {
    static final List<String> KEYS =
        List.of("k/a+b", "k/a%2Fb", "k//x", "k/..", "k/ü 日本", "k/a@b=c&d", "k/'*~!()");

    private Check() {}

    static void that(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void same(byte[] expected, byte[] found, String what) {
        that(Arrays.equals(expected, found), what + ": " + found.length + " bytes differ");
    }

    /** Bytes that only this seed makes. */
    static byte[] content(String seed, int length) {
        byte[] made = new byte[length];
        new Random(seed.hashCode()).nextBytes(made);
        return made;
    }

    static String md5(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(bytes));
    }
}
