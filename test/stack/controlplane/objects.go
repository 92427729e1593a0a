package controlplane

import (
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/sync/errgroup"
)

const (
	nodeName = "node-1"
	nodePath = "/api/v1/nodes/" + nodeName

	regionLabel   = "topology.kubernetes.io/region"
	defaultRegion = "global-1"
)

func defaultNamespaces() []string {
	return []string{"console", "worker", "ingress", "combinator"}
}

// applyNamespaces makes the namespaces that the product works in.
func (c *client) applyNamespaces(ctx context.Context, names []string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		group.Go(func() error {
			return c.applyObject(ctx, "/api/v1/namespaces/"+name, map[string]any{
				"apiVersion": "v1",
				"kind":       "Namespace",
				"metadata":   map[string]any{"name": name},
			})
		})
	}
	return group.Wait()
}

// applyNode makes the node that all pods are scheduled to.
func (c *client) applyNode(ctx context.Context, region string) error {
	return c.applyObject(ctx, nodePath, map[string]any{
		"apiVersion": "v1",
		"kind":       "Node",
		"metadata": map[string]any{
			"annotations": map[string]string{"kwok.x-k8s.io/node": "fake"},
			"labels": map[string]string{
				"kubernetes.io/arch":     "amd64",
				"kubernetes.io/hostname": nodeName,
				"kubernetes.io/os":       "linux",
				regionLabel:              region,
			},
			"name": nodeName,
		},
	})
}

// nodeReady fails until the simulated kubelet has made the node Ready.
func (c *client) nodeReady(ctx context.Context) error {
	var object struct{ Status status }
	if err := c.get(ctx, nodePath, &object); err != nil {
		return err
	}
	return object.Status.is("Ready")
}

func (c *client) applyObject(ctx context.Context, path string, object map[string]any) error {
	manifest, err := json.Marshal(object) // JSON is YAML
	if err != nil {
		return fmt.Errorf("apply %s: %w", path, err)
	}
	return c.apply(ctx, path, manifest)
}
