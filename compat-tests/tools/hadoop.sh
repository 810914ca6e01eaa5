#!/bin/sh
# Hadoop: S3A with its committers, and what S3A of 2.7 asks of the AWS SDK for Java 1.7.4: ../sdks/hadoop, ../sdks/java-1.7.
. "$(dirname "$0")/lib.sh"
need_language java
built java-1.7/classes
built hadoop/classes
run() {
    java -XX:TieredStopAtLevel=1 -cp "$CACHE/sdks/$1/lib/*:$CACHE/sdks/$1/classes" "$2" >log 2>&1 || fail "$2: $(tail -40 log)"
}
run java-1.7 Hadoop27
make_bucket hadoop
run hadoop Committers
