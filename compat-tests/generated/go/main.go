// A client that openapi-generator generated (package juststorage) moves bytes through the server at NATIVE_URL.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"

	"suite/juststorage"
)

const space, tenant, key = "generated-go", "default", "docs/ä b%2F?.bin"

func check(err error) {
	if err == nil {
		return
	}
	var refusal *juststorage.GenericOpenAPIError
	if errors.As(err, &refusal) {
		panic(fmt.Sprintf("%v: %s", err, refusal.Body()))
	}
	panic(err)
}

func equal(found, expected any) {
	if !reflect.DeepEqual(found, expected) {
		panic(fmt.Sprintf("%v is not %v", found, expected))
	}
}

// The generated client sends bytes from a file.
func file(content []byte) *os.File {
	made, err := os.CreateTemp("", "")
	check(err)
	_, err = made.Write(content)
	check(err)
	_, err = made.Seek(0, io.SeekStart)
	check(err)
	return made
}

func same(received *os.File, expected []byte) {
	_, err := received.Seek(0, io.SeekStart)
	check(err)
	content, err := io.ReadAll(received)
	check(err)
	if !bytes.Equal(content, expected) {
		panic("other bytes came back")
	}
}

func refused(err error, status int32, code string) {
	var refusal *juststorage.GenericOpenAPIError
	if !errors.As(err, &refusal) {
		panic(fmt.Sprintf("%v is no refusal", err))
	}
	problem, ok := refusal.Model().(juststorage.Problem)
	if !ok {
		panic(fmt.Sprintf("%T is no problem", refusal.Model()))
	}
	equal([]any{problem.Status, problem.Code}, []any{status, code})
}

func client(header, value string) *juststorage.APIClient {
	configuration := juststorage.NewConfiguration()
	configuration.Servers = juststorage.ServerConfigurations{{URL: os.Getenv("NATIVE_URL")}}
	if header != "" {
		configuration.AddDefaultHeader(header, value)
	}
	return juststorage.NewAPIClient(configuration)
}

func with(token string) context.Context {
	return context.WithValue(context.Background(), juststorage.ContextAccessToken, token)
}

func main() {
	content := make([]byte, 1<<20)
	for index := range content {
		content[index] = byte(index % 251)
	}
	ctx, api := with(os.Getenv("TOKEN")), client("", "")
	put := func(by *juststorage.APIClient, content []byte) juststorage.ApiPutObjectByKeyRequest {
		return by.ObjectsByKeyAPI.PutObjectByKey(ctx, space, tenant, key).Body(file(content))
	}

	made, _, err := put(client("X-Meta-Owner", "me"), content).IfNoneMatch("*").Execute()
	check(err)
	equal([]any{made.SizeBytes, made.GetKey(), made.Metadata["owner"]}, []any{int64(len(content)), key, "me"})

	list := api.ObjectsAPI.ListObjects(ctx).Namespace(space).Tenant(tenant).Prefix("docs/").Limit(10)
	listed, _, err := list.Execute()
	check(err)
	equal([]any{len(listed.Objects), listed.Objects[0].GetKey(), listed.Objects[0].Etag}, []any{1, key, made.Etag})

	read, _, err := api.ObjectsByKeyAPI.GetObjectByKey(ctx, space, tenant, key).Execute()
	check(err)
	same(read, content)
	part, answer, err := api.ObjectsByKeyAPI.GetObjectByKey(ctx, space, tenant, key).Range_("bytes=250-260").Execute()
	check(err)
	equal(answer.StatusCode, http.StatusPartialContent)
	same(part, content[250:261])
	read, _, err = api.ObjectsAPI.GetObject(ctx, made.Id).XTenant(tenant).Execute()
	check(err)
	same(read, content)

	change := juststorage.PatchBody{Metadata: map[string]string{"team": "search"}}
	patched, _, err := api.ObjectsAPI.PatchObject(ctx, made.Id).XTenant(tenant).PatchBody(change).Execute()
	check(err)
	equal(patched.Metadata, map[string]string{"owner": "me", "team": "search"})

	_, _, err = put(api, []byte("late")).IfNoneMatch("*").Execute()
	refused(err, 412, "precondition_failed")
	replaced, _, err := put(api, []byte("new")).IfMatch(made.Etag).Execute()
	check(err)
	equal(replaced.SizeBytes, int64(3))
	_, _, err = put(api, []byte("older")).IfMatch(made.Etag).Execute()
	refused(err, 412, "precondition_failed")

	wanted := juststorage.NewCreateUploadBody(space)
	wanted.SetTenant(tenant)
	wanted.SetKey("parts.bin")
	upload, _, err := api.UploadsAPI.CreateUpload(ctx).CreateUploadBody(*wanted).Execute()
	check(err)
	sent, _, err := api.UploadsAPI.PutPart(ctx, upload.Id, 1).XTenant(tenant).Body(file(content)).Execute()
	check(err)
	claim := juststorage.NewPartClaimBody(1)
	claim.SetEtag(sent.Etag)
	parts := juststorage.CompleteBody{Parts: []juststorage.PartClaimBody{*claim}}
	whole, _, err := api.UploadsAPI.CompleteUpload(ctx, upload.Id).XTenant(tenant).CompleteBody(parts).Execute()
	check(err)
	equal(whole.SizeBytes, int64(len(content)))

	_, err = api.ObjectsByKeyAPI.DeleteObjectByKey(ctx, space, tenant, key).Execute()
	check(err)
	_, _, err = api.ObjectsByKeyAPI.GetObjectByKey(ctx, space, tenant, key).Execute()
	refused(err, 404, "object_not_found")
	_, _, err = api.ObjectsAPI.ListObjects(with("nothing")).Namespace(space).Tenant(tenant).Execute()
	refused(err, 401, "unauthenticated")
	who, _, err := api.AdminAPI.AdminWhoami(ctx).Execute()
	check(err)
	equal(who.Tenant, tenant)
	fmt.Println("go: bytes went both ways")
}
