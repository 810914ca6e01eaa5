#!/bin/sh
# The AWS SDKs for Java, 1.x and 2.x, over TLS: ../sdks/java.
. "$(dirname "$0")/lib.sh"
need_language java
need_language keytool
built java/classes
keytool -importcert -noprompt -alias server -file "$S3_CA" -keystore trust -storepass changeit >log 2>&1 || fail "$(cat log)"
for version in 1 2; do
    java -XX:TieredStopAtLevel=1 -Djavax.net.ssl.trustStore=trust -Djavax.net.ssl.trustStorePassword=changeit \
        -cp "$CACHE/sdks/java/lib/*:$CACHE/sdks/java/classes" Version$version >log 2>&1 || fail "version $version: $(cat log)"
done
