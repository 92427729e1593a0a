package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/domains/internal/objects"
)

// Lister lists the objects of custom domains from the API server.
type Lister struct {
	clients *kube.Clients
	config  *config.Config
}

// NewLister returns a lister.
func NewLister(c *config.Config, clients *kube.Clients) *Lister {
	return &Lister{clients: clients, config: c}
}

// Object identifies an object of a custom domain.
type Object struct {
	// Kind is the object's kind, such as Service.
	Kind                string
	Name, CDID, UserUID string
}

// List passes the objects of all kinds to page, in pages. A kind that the cluster does not know has no objects.
func (l *Lister) List(ctx context.Context, page func([]Object) error) error {
	for _, kind := range objects.Kinds() {
		if err := l.list(ctx, kind, page); err != nil {
			return fmt.Errorf("list every %s: %w", kind.Name, err)
		}
	}
	return nil
}

// list lists the objects of one kind. An expired continue token is an error of the API server.
func (l *Lister) list(ctx context.Context, kind objects.Kind, page func([]Object) error) error {
	options := metav1.ListOptions{LabelSelector: objects.AppLabel + "=" + objects.App, Limit: pageSize}
	for {
		list, err := l.readPage(ctx, kind, options)
		if apierrors.IsNotFound(err) && options.Continue == "" {
			return nil
		}
		if err != nil {
			return err
		}
		var found []Object
		for at := range list.Items {
			if o, ok := l.identify(kind, &list.Items[at]); ok {
				found = append(found, o)
			}
		}
		if len(found) > 0 {
			if err := page(found); err != nil {
				return err
			}
		}
		if options.Continue = list.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

func (l *Lister) readPage(
	ctx context.Context, kind objects.Kind, options metav1.ListOptions,
) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, l.config.Kubernetes.Timeout)
	defer cancel()
	return l.clients.Dynamic.Resource(kind.Resource).Namespace(l.config.Kubernetes.Namespaces.Ingress).List(ctx, options)
}

// identify accepts objects that carry this platform's mark and the name that Inner gives to their domain. Objects of an earlier
// release get the mark with their next reconcile, if they have a row.
func (l *Lister) identify(kind objects.Kind, u *unstructured.Unstructured) (o Object, ok bool) {
	annotations := u.GetAnnotations()
	cdid := annotations[objects.IDAnnotation]
	if cdid == "" || objects.Name(cdid) != u.GetName() || annotations[objects.PlatformAnnotation] != l.config.PlatformMark() {
		return o, false
	}
	return Object{Kind: kind.Name, Name: u.GetName(), CDID: cdid, UserUID: annotations[objects.UserAnnotation]}, true
}

// Of returns the objects of a domain, for people. A kind that the cluster does not have is a problem of its object.
func (l *Lister) Of(ctx context.Context, cdid string) ([]admin.Object, error) {
	all, name := []admin.Object{}, objects.Name(cdid)
	for _, kind := range objects.Kinds() {
		list, err := l.clients.List(ctx, kind.Resource, l.config.Kubernetes.Namespaces.Ingress,
			metav1.ListOptions{FieldSelector: metav1.ObjectNameField + "=" + name})
		state := "missing"
		switch {
		case apierrors.IsNotFound(err):
			state = "the cluster does not have this kind"
		case err != nil:
			return nil, fmt.Errorf("%s: %w", kind.Name, err)
		case len(list.Items) > 0:
			state = l.stateOf(kind, &list.Items[0])
		}
		all = append(all, admin.Object{Kind: kind.Name, Name: name, State: state})
	}
	return all, nil
}

func (l *Lister) stateOf(kind objects.Kind, u *unstructured.Unstructured) string {
	// A command may run without the settings that the platform's own mark is made of.
	mark, own := u.GetAnnotations()[objects.PlatformAnnotation], l.config.PlatformMark()
	if mark != "" && own != "" && mark != own {
		return "belongs to another platform"
	}
	if kind == objects.Certificates() {
		if readiness := objects.Readiness(u); readiness != objects.Ready {
			return readiness
		}
	}
	return "ok"
}
