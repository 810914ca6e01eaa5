// The AWS SDK for Go v2 against the S3 front, as a service uses it.
package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const mib = 1 << 20

var (
	bucket = aws.String("sdk-go")
	ctx    = context.Background()
	client = s3.New(s3.Options{
		BaseEndpoint: aws.String(os.Getenv("S3_URL")),
		// Any region may be signed for.
		Region:       "eu-west-3",
		UsePathStyle: true,
		// The first answer is what is tested.
		Retryer: aws.NopRetryer{},
		// As config.LoadDefaultConfig has them.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials: credentials.NewStaticCredentialsProvider(
			os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	})
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(holds bool, what ...any) {
	if !holds {
		panic(fmt.Sprintln(what...))
	}
}

func refused(code string, err error) {
	var refusal smithy.APIError
	check(errors.As(err, &refusal) && refusal.ErrorCode() == code, code, "expected:", err)
}

// length bytes that only this seed makes.
func content(seed string, length int) []byte {
	var made []byte
	for block := sha256.Sum256([]byte(seed)); len(made) < length; block = sha256.Sum256(block[:]) {
		made = append(made, block[:]...)
	}
	return made[:length]
}

// A body whose length is known and which cannot be read twice: the SDK signs no hash of it.
type once struct{ io.Reader }

func get(key string) []byte {
	answer := must(client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key}))
	return must(io.ReadAll(answer.Body))
}

func put(key string, body []byte) *s3.PutObjectOutput {
	return must(client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(body)}))
}

func checksums() {
	body := content("stream", 3*mib+1)
	plain := put("plain", body)
	sum := md5.Sum(body)
	check(*plain.ETag == `"`+hex.EncodeToString(sum[:])+`"`, "the ETag is an MD5", *plain.ETag)
	check(plain.ChecksumCRC32 != nil, "CRC32 is the default")
	// Over TLS this is STREAMING-UNSIGNED-PAYLOAD-TRAILER.
	must(client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("stream"), Body: once{bytes.NewReader(body)},
		ContentLength: aws.Int64(int64(len(body))), ContentEncoding: aws.String("gzip"),
	}))
	head := must(client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: bucket, Key: aws.String("stream"), ChecksumMode: types.ChecksumModeEnabled,
	}))
	check(*head.ContentEncoding == "gzip", *head.ContentEncoding)
	check(*head.ChecksumCRC32 == *plain.ChecksumCRC32, "the trailer was kept")
	check(bytes.Equal(get("stream"), body), "the stream comes back")
	for _, algorithm := range types.ChecksumAlgorithm("").Values()[:5] {
		must(client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: bucket, Key: aws.String("with-" + string(algorithm)), Body: bytes.NewReader(body),
			ChecksumAlgorithm: algorithm,
		}))
	}
	_, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("bad"), Body: bytes.NewReader(body), ChecksumCRC32: aws.String("AAAAAA=="),
	})
	refused("BadDigest", err)
	part := must(client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: bucket, Key: aws.String("plain"), Range: aws.String("bytes=1000-1999"),
		ChecksumMode: types.ChecksumModeEnabled,
	}))
	check(part.ChecksumCRC32 == nil && bytes.Equal(must(io.ReadAll(part.Body)), body[1000:2000]), "a range")
}

func managed() {
	body := content("parts", 17*mib+5)
	//nolint:staticcheck // What services use.
	uploader := manager.NewUploader(client, func(u *manager.Uploader) { u.PartSize = 5 * mib })
	must(uploader.Upload(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("parts"), Body: once{bytes.NewReader(body)},
	}))
	into := manager.NewWriteAtBuffer(nil)
	must(manager.NewDownloader(client).Download(ctx, into, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("parts")}))
	check(bytes.Equal(into.Bytes(), body), "the parts come back")
}

func many() {
	for _, name := range []string{"d/1", "d/2"} {
		put(name, nil)
	}
	var names []types.ObjectIdentifier
	for _, name := range []string{"d/1", "d/2", "d/never"} {
		names = append(names, types.ObjectIdentifier{Key: aws.String(name)})
	}
	answer := must(client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: names}}))
	check(len(answer.Deleted) == 3 && len(answer.Errors) == 0, answer)
	_, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("d/1")})
	refused("NoSuchKey", err)
	_, err = client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("d/1")})
	refused("NotFound", err)
}

func listings() {
	for _, name := range []string{"l/a/1", "l/a/2", "l/b/1", "l/c", "l/d"} {
		put(name, nil)
	}
	var found []string
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{
		Bucket: bucket, Prefix: aws.String("l/"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(1),
	}, func(options *s3.ListObjectsV2PaginatorOptions) { options.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page := must(pages.NextPage(ctx))
		for _, each := range page.CommonPrefixes {
			found = append(found, *each.Prefix)
		}
		for _, each := range page.Contents {
			found = append(found, *each.Key)
		}
	}
	check(strings.Join(found, " ") == "l/a/ l/b/ l/c l/d", found)
}

func keys() {
	for _, name := range []string{"k/a+b", "k/a%2Fb", "k//x", "k/..", "k/ü 日本", "k/a@b=c&d", "k/'*~!()"} {
		put(name, []byte(name))
		check(string(get(name)) == name, name)
	}
}

func conditions() {
	write := func(body, ifMatch, ifNoneMatch string) (*s3.PutObjectOutput, error) {
		input := &s3.PutObjectInput{Bucket: bucket, Key: aws.String("c"), Body: strings.NewReader(body)}
		if ifMatch != "" {
			input.IfMatch = &ifMatch
		}
		if ifNoneMatch != "" {
			input.IfNoneMatch = &ifNoneMatch
		}
		return client.PutObject(ctx, input)
	}
	_, err := write("1", `"0"`, "")
	refused("NoSuchKey", err)
	first := must(write("1", "", "*"))
	_, err = write("2", "", "*")
	refused("PreconditionFailed", err)
	must(write("2", *first.ETag, ""))
	_, err = write("3", *first.ETag, "")
	refused("PreconditionFailed", err)
}

func presigned() {
	signer := s3.NewPresignClient(client)
	url := must(signer.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("signed")}))
	send := func(header string) int {
		request := must(http.NewRequest(url.Method, url.URL, strings.NewReader("signed")))
		request.Header = url.SignedHeader.Clone()
		if header != "" {
			request.Header.Set(header, *bucket+"/plain")
		}
		return must(http.DefaultClient.Do(request)).StatusCode
	}
	check(send("") == 200, "a presigned put")
	check(send("x-amz-copy-source") == 403, "a header that was not signed")
	check(string(get("signed")) == "signed", "nothing else was done")
}

func main() {
	must(client.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: bucket,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraintEuWest3,
		},
	}))
	for _, run := range []func(){checksums, managed, many, listings, keys, conditions, presigned} {
		run()
	}
	fmt.Println("ok")
}
