package main

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

// object is one thing in the cluster that belongs to a worker.
type object struct {
	describe  func(map[string]any) string
	kind      string
	name      string
	namespace string
	resource  schema.GroupVersionResource
}

// objects are what the contract promises for a worker, the WorkerApp first.
func objects(worker, user string, names config.Namespaces) []object {
	n := workerapp.Name(worker, user)
	core := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Version: "v1", Resource: resource}
	}
	deployments := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	routes := schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}
	return []object{
		{describePhase, workerapp.Kind, n, names.Worker, workerapp.Resource()},
		{describeData, "ConfigMap", workerapp.EnvName(n), names.Worker, core("configmaps")},
		{describeData, "Secret", workerapp.SecretName(n), names.Worker, core("secrets")},
		{describeDeployment, "Deployment", n, names.Worker, deployments},
		{describeService, "Service", n, names.Worker, core("services")},
		{describeService, "Service", workerapp.ExternalName(n), names.Ingress, core("services")},
		{describeRoute, "IngressRoute", n, names.Ingress, routes},
	}
}

// read returns nil where the object does not exist.
func (o object) read(ctx context.Context, clients *kube.Clients) (map[string]any, error) {
	found, err := clients.Get(ctx, o.resource, o.namespace, o.name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s %s: %w", o.kind, o.name, err)
	}
	return found.Object, nil
}

func describePhase(found map[string]any) string {
	phase, message := text(found, "status", "phase"), text(found, "status", "message")
	switch {
	case phase == "":
		return "made"
	case message == "":
		return phase
	}
	return phase + ": " + message
}

// describeData counts keys: values are nobody's business.
func describeData(found map[string]any) string {
	data, _, err := unstructured.NestedMap(found, "data")
	if err != nil {
		return "malformed"
	}
	if len(data) == 1 {
		return "has 1 key"
	}
	return fmt.Sprintf("has %d keys", len(data))
}

func describeDeployment(found map[string]any) string {
	return fmt.Sprintf("%d of %d ready", number(found, "status", "readyReplicas"), number(found, "spec", "replicas"))
}

func describeService(found map[string]any) string {
	if target := text(found, "spec", "externalName"); target != "" {
		return "routes to " + target
	}
	return "made"
}

func describeRoute(found map[string]any) string {
	routes, _, err := unstructured.NestedSlice(found, "spec", "routes")
	if err != nil || len(routes) == 0 {
		return "without a route"
	}
	route, ok := routes[0].(map[string]any)
	if !ok {
		return "malformed"
	}
	hosts := strings.Split(strings.NewReplacer("Host(`", "", "`)", "").Replace(text(route, "match")), " || ")
	if len(hosts) == 1 {
		return "serves " + hosts[0]
	}
	return fmt.Sprintf("serves %s and %d more names", hosts[0], len(hosts)-1)
}

func text(found map[string]any, path ...string) string {
	value, _, err := unstructured.NestedString(found, path...)
	if err != nil {
		return ""
	}
	return value
}

func number(found map[string]any, path ...string) int64 {
	value, _, err := unstructured.NestedInt64(found, path...)
	if err != nil {
		return 0
	}
	return value
}
