package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/host"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/test/util/retry"
	"istio.io/istio/pkg/util/sets"
)

// scopeLabel tells the sidecars apart that one istiod serves, each with a Sidecar of its own.
const scopeLabel = "lazymesh.io/oracle-scope"

// domain of the cluster: that of the fake's registry.
const domain = "cluster.local"

// istioGroups are what Istio reads from its own store; everything else is the business of Kubernetes.
var istioGroups = sets.New("networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io")

// istiod is Istio's control plane with one mesh.
type istiod struct {
	*xds.FakeDiscoveryServer
}

// serve starts istiod on the mesh.
func serve(t test.Failer, question Question) istiod {
	options := xds.FakeOptions{DisableSecretAuthorization: true}
	meshConfig, err := mesh.ApplyMeshConfigDefaults(question.MeshConfig)
	if err != nil {
		t.Fatalf("mesh_config: %v", err)
	}
	options.MeshConfig = meshConfig
	for _, object := range question.Objects {
		if err := add(&options, object, question.Lenient); err != nil {
			t.Fatal(err)
		}
	}
	return istiod{xds.NewFakeDiscoveryServer(t, options)}
}

// pushed is what istiod makes of the mesh as it is now.
func (server istiod) pushed(t test.Failer) *model.PushContext {
	server.Discovery.ConfigUpdate(&model.PushRequest{Forced: true})
	server.EnsureSynced(t)
	return server.PushContext()
}

// join has lazymesh's own objects come into the mesh, with its Sidecars.
func (server istiod) join(t test.Failer, question Question) {
	var joining xds.FakeOptions
	for _, object := range question.Lazymesh {
		if err := add(&joining, object, false); err != nil {
			t.Fatal(err)
		}
	}
	for n, scope := range question.Scopes {
		sidecar, err := selecting(scope, n)
		if err == nil {
			err = add(&joining, sidecar, false)
		}
		if err != nil {
			t.Fatalf("scope %d: %v", n, err)
		}
	}
	for _, one := range joining.Configs {
		if _, err := server.Store().Create(one); err != nil {
			t.Fatal(err)
		}
	}
	for _, object := range joining.KubernetesObjects {
		server.create(t, object)
	}
}

// create has Kubernetes create a Namespace or a Service, and waits until istiod has that Service.
func (server istiod) create(t test.Failer, object runtime.Object) {
	client := server.KubeClient().Kube().CoreV1()
	switch object := object.(type) {
	case *corev1.Namespace:
		if _, err := client.Namespaces().Create(context.Background(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	case *corev1.Service:
		if _, err := client.Services(object.Namespace).Create(context.Background(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		name := host.Name(object.Name + "." + object.Namespace + ".svc." + domain)
		retry.UntilOrFail(t, func() bool {
			return server.Env().GetService(name) != nil
		}, retry.Delay(time.Millisecond))
	default:
		t.Fatalf("expected a Namespace or a Service of lazymesh, got %T", object)
	}
}

// leave has all objects of a kind go.
func (server istiod) leave(t test.Failer, kind config.GroupVersionKind) {
	for _, one := range server.Store().List(kind, model.NamespaceAll) {
		if err := server.Store().Delete(kind, one.Name, one.Namespace, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func add(options *xds.FakeOptions, object json.RawMessage, lenient bool) error {
	var kind struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(object, &kind); err != nil {
		return err
	}
	if istioGroups.Contains(schema.FromAPIVersionAndKind(kind.APIVersion, kind.Kind).Group) {
		if err := addConfig(options, object, lenient); err != nil || kind.Kind != "ServiceEntry" {
			return err
		}
		// The Gateway API's controller looks for the parents of routes in Kubernetes itself.
	}
	decoded, err := kubernetesObject(object)
	if err != nil {
		return fmt.Errorf("%s: %w", kind.Kind, err)
	}
	options.KubernetesObjects = append(options.KubernetesObjects, decoded)
	return nil
}

// addConfig reads an object as istiod does, with the checks of its webhook.
func addConfig(options *xds.FakeOptions, object json.RawMessage, lenient bool) error {
	var read crd.IstioKind
	if err := json.Unmarshal(object, &read); err != nil {
		return err
	}
	kind := read.GroupVersionKind()
	schema, known := collections.PilotGatewayAPI().FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&kind))
	if !known {
		return fmt.Errorf("kind %s is not one of Istio's", kind.Kind)
	}
	if read.Namespace == "" {
		read.Namespace = "default"
	}
	converted, err := crd.ConvertObject(schema, &read, domain)
	if err != nil {
		return err
	}
	if _, err := schema.ValidateConfig(*converted); err != nil && !lenient {
		return err
	}
	options.Configs = append(options.Configs, *converted)
	return nil
}

func kubernetesObject(object json.RawMessage) (runtime.Object, error) {
	decoded, _, err := kube.IstioCodec.UniversalDeserializer().Decode(object, nil, nil)
	return decoded, err
}

// selecting is the Sidecar for the n-th scoped proxy alone.
func selecting(sidecar json.RawMessage, n int) (json.RawMessage, error) {
	var object struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
		Spec       map[string]any `json:"spec"`
	}
	if err := json.Unmarshal(sidecar, &object); err != nil {
		return nil, err
	}
	object.Metadata["name"] = "oracle-" + strconv.Itoa(n)
	object.Spec["workloadSelector"] = map[string]any{"labels": map[string]string{scopeLabel: strconv.Itoa(n)}}
	return json.Marshal(object)
}
