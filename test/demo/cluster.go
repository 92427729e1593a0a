package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"

	"app238.com/inner/app/kube"
	"app238.com/inner/configs"
	"app238.com/inner/modules/controller/workerapp"
)

const (
	clusterPoll  = 100 * time.Millisecond
	clusterLimit = time.Minute
)

func definitions() schema.GroupVersionResource {
	return schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	}
}

// prepareCluster makes what the user's own cluster lacks, and changes nothing that is there.
func (d *demo) prepareCluster(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, clusterLimit, errors.New("the cluster took too long"))
	defer cancel()
	if err := d.clients.Ping(ctx); err != nil {
		return fmt.Errorf("the cluster does not answer: %w", err)
	}
	if _, err := d.clients.Typed.Discovery().ServerResourcesForGroupVersion("traefik.io/v1alpha1"); err != nil {
		return fmt.Errorf("the cluster does not know IngressRoute: install the resource definitions of Traefik 3: %w", err)
	}
	names := d.opts.config.Kubernetes.Namespaces
	for _, name := range []string{names.Control, names.Worker, names.Ingress, names.Combinator} {
		if err := d.makeNamespace(ctx, name); err != nil {
			return err
		}
	}
	return d.makeDefinition(ctx)
}

func (d *demo) makeNamespace(ctx context.Context, name string) error {
	namespaces := d.clients.Typed.CoreV1().Namespaces()
	_, err := namespaces.Get(ctx, name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	desired := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err = namespaces.Create(ctx, desired, metav1.CreateOptions{FieldManager: kube.FieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make namespace %s: %w", name, err)
	}
	d.screen.step("cluster", "namespace %s was missing: made", name)
	return nil
}

// makeDefinition installs the definition of WorkerApp where it is missing, and waits until it is served.
func (d *demo) makeDefinition(ctx context.Context) error {
	definition := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(configs.WorkerAppCRD, &definition.Object); err != nil {
		return fmt.Errorf("read the definition of %s: %w", workerapp.Kind, err)
	}
	_, err := d.clients.Get(ctx, definitions(), "", definition.GetName())
	if !apierrors.IsNotFound(err) {
		return err
	}
	if _, err := d.clients.Apply(ctx, definitions(), definition); err != nil {
		return fmt.Errorf("install the definition of %s: %w", workerapp.Kind, err)
	}
	err = until(ctx, clusterPoll, func(ctx context.Context) error {
		worker := d.opts.config.Kubernetes.Namespaces.Worker
		_, err := d.clients.Dynamic.Resource(workerapp.Resource()).Namespace(worker).List(ctx, metav1.ListOptions{Limit: 1})
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for %s to be served: %w", workerapp.Kind, err)
	}
	d.screen.step("cluster", "the definition of %s was missing: installed", workerapp.Kind)
	return nil
}
