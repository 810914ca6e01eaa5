// Checks rendered manifests, read from standard input, with Kubernetes' own code. A resource of the Gateway API and of
// the Prometheus operator must decode into its type without an unknown field, since there is no JSON schema of them in
// reach; a pod must pass the pod security standard `restricted` as the admission controller decides it.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	security "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

func main() {
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chart-check:", err)
		os.Exit(2)
	}
	reader := documents.NewYAMLReader(bufio.NewReader(os.Stdin))
	custom, pods, bad := 0, 0, 0
	finding := func(name string, what any) {
		bad++
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, what)
	}
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var head struct {
			meta.TypeMeta   `json:",inline"`
			meta.ObjectMeta `json:"metadata"`
		}
		if err == nil {
			err = yaml.Unmarshal(document, &head)
		}
		if err != nil {
			finding("standard input", err)
			break
		}
		name := head.Kind + " " + head.Name
		into, template := target(head.TypeMeta)
		if into == nil {
			continue
		}
		if err := decode(document, into); err != nil {
			finding(name, err)
			continue
		}
		if template == nil {
			custom++
			continue
		}
		pods++
		about, spec := template()
		restricted := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
		if verdict := policy.AggregateCheckResults(checks.EvaluatePod(restricted, about, spec)); !verdict.Allowed {
			finding(name, verdict.ForbiddenDetail())
		}
	}
	fmt.Printf("chart-check: %d custom resources, %d pods, %d findings\n", custom, pods, bad)
	if bad > 0 {
		os.Exit(1)
	}
}

// As the API server does it where fields are validated: an unknown field, also one of other case, is an error.
func decode(document []byte, into any) error {
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	unknown, err := json.UnmarshalStrict(text, into)
	return errors.Join(append(unknown, err)...)
}

// The type that a resource must decode into, and how to get at the pod that it makes, if it makes one. Other kinds are
// kubeconform's.
func target(head meta.TypeMeta) (any, func() (*meta.ObjectMeta, *core.PodSpec)) {
	made := func(template *core.PodTemplateSpec) func() (*meta.ObjectMeta, *core.PodSpec) {
		return func() (*meta.ObjectMeta, *core.PodSpec) { return &template.ObjectMeta, &template.Spec }
	}
	switch head.APIVersion + " " + head.Kind {
	case "gateway.networking.k8s.io/v1 HTTPRoute":
		return &gateway.HTTPRoute{}, nil
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return &monitoring.ServiceMonitor{}, nil
	case "monitoring.coreos.com/v1 PodMonitor":
		return &monitoring.PodMonitor{}, nil
	case "monitoring.coreos.com/v1 PrometheusRule":
		return &monitoring.PrometheusRule{}, nil
	case "apps/v1 StatefulSet":
		into := &apps.StatefulSet{}
		return into, made(&into.Spec.Template)
	case "apps/v1 Deployment":
		into := &apps.Deployment{}
		return into, made(&into.Spec.Template)
	case "v1 Pod":
		into := &core.Pod{}
		return into, func() (*meta.ObjectMeta, *core.PodSpec) { return &into.ObjectMeta, &into.Spec }
	}
	return nil, nil
}
