// minio-go with trailing checksums, as `mc` and many Go services use it: streams of unknown length and large files.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const bucket = "minio-go"

var ctx = context.Background()

func check(err error, what string) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(1)
	}
}

func main() {
	endpoint, err := url.Parse(os.Getenv("S3_URL"))
	check(err, "S3_URL")
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:           credentials.NewStaticV4(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
		Region:          os.Getenv("AWS_REGION"),
		TrailingHeaders: true,
		MaxRetries:      1,
	})
	check(err, "client")
	check(client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}), "bucket")
	content := make([]byte, 20<<20)
	rand.Read(content)

	for _, kind := range []minio.ChecksumType{
		minio.ChecksumCRC32, minio.ChecksumCRC32C, minio.ChecksumSHA1, minio.ChecksumSHA256, minio.ChecksumCRC64NVME,
	} {
		// Above 16 MiB it is sent in parts, which are completed with a composite checksum without `-n`.
		for _, size := range []int64{5, 20 << 20} {
			key := fmt.Sprintf("%s-%d", kind, size)
			_, err := client.PutObject(ctx, bucket, key, bytes.NewReader(content[:size]), size,
				minio.PutObjectOptions{Checksum: kind, PartSize: 5 << 20})
			check(err, key)
			read(client, key, content[:size])
		}
	}
	// A pipe: nobody knows how much comes.
	piped, into := io.Pipe()
	go func() {
		into.Write(content)
		into.Close()
	}()
	_, err = client.PutObject(ctx, bucket, "piped", piped, -1, minio.PutObjectOptions{PartSize: 5 << 20})
	check(err, "piped")
	read(client, "piped", content)

	_, err = client.ComposeObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "composed"},
		minio.CopySrcOptions{Bucket: bucket, Object: "piped"}, minio.CopySrcOptions{Bucket: bucket, Object: "CRC32C-5"})
	check(err, "compose")
	read(client, "composed", append(append([]byte{}, content...), content[:5]...))

	for found := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		check(found.Err, "list")
		check(client.RemoveObject(ctx, bucket, found.Key, minio.RemoveObjectOptions{}), "remove")
	}
	check(client.RemoveBucket(ctx, bucket), "remove the bucket")
}

func read(client *minio.Client, key string, want []byte) {
	object, err := client.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	check(err, key)
	got, err := io.ReadAll(object)
	check(err, key)
	if !bytes.Equal(got, want) {
		check(fmt.Errorf("other bytes"), key)
	}
}
