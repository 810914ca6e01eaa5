#!/bin/sh
# samtools over htslib: an alignment is written in parts and read back by ranges. htslib looks for `ETag`, spelt so.
. "$(dirname "$0")/lib.sh"
need samtools
export HTS_S3_HOST="${S3_URL#http://}" HTS_S3_ADDRESS_STYLE=path
make_bucket htslib
{
    printf '@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:one\tLN:100000000\n'
    awk 'BEGIN { srand(1); for (n = 1; n <= 150000; n++) { q = ""; for (i = 0; i < 100; i++) q = q sprintf("%c", 33 + int(rand() * 60));
        s = ""; for (i = 0; i < 100; i++) s = s substr("ACGT", 1 + int(rand() * 4), 1);
        printf "r%d\t0\tone\t%d\t60\t100M\t*\t0\t0\t%s\t%s\n", n, n * 100, s, q } }'
} >reads.sam
url=s3+http://htslib/dir/reads.bam
samtools view -b -o "$url" reads.sam || fail "write"
[ "$(samtools view -c "$url")" = 150000 ] || fail "read"
samtools view -b -o local.bam reads.sam
samtools view "$url" | cmp - reads.body 2>/dev/null || { samtools view local.bam >reads.body; samtools view "$url" | cmp - reads.body || fail "other bytes"; }
samtools index local.bam
