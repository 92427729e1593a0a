package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/app/kube/drift"
	"app238.com/inner/app/kube/workqueue"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
)

// notInstalled is the readiness of a certificate in a cluster without cert-manager.
const notInstalled = "cert-manager is not installed"

// otherPlatform is the readiness of a certificate whose name is used by another platform in a shared namespace.
const otherPlatform = "objects of this name are another platform's"

// errRequeue requeues a name without counting a failure.
var errRequeue = errors.New("another process changes the desired state or the objects, or the cache is stale")

// reconcile brings the objects of a name to the desired state in the database, if this process leads. Objects that the database
// does not know are left to the audit: this may be the wrong database.
func (c *Cluster) reconcile(ctx context.Context, name string) (workqueue.Result, error) {
	if !c.Leading() {
		c.clearReconciled(name) // its objects may have changed: it is reconciled once this process leads
		c.led.Store(false)
		return workqueue.Result{}, nil
	}
	if c.writes.Remaining(name, c.cached, time.Now()) > 0 {
		return workqueue.Result{RequeueAfter: requeueAfter}, nil
	}
	desired, err := c.store.Desired(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		c.clearReconciled(name)
		return workqueue.Result{}, nil
	}
	if err != nil {
		return workqueue.Result{}, err
	}
	written, err := c.applyOrDelete(ctx, desired)
	if errors.Is(err, errRequeue) {
		return workqueue.Result{RequeueAfter: requeueAfter, Written: written}, nil
	}
	if err == nil && !desired.Deleting {
		c.setReconciled(desired)
	}
	return workqueue.Result{Written: written}, err
}

func (c *Cluster) applyOrDelete(ctx context.Context, desired store.Desired) (written bool, err error) {
	switch ownedByOther := c.ownedByOther(desired.Name); {
	case desired.Deleting:
		return false, c.finalize(ctx, desired)
	case desired.Served && ownedByOther:
		return false, c.recordCertificate(ctx, desired, otherPlatform)
	case desired.Served:
		return c.applyDomain(ctx, desired)
	case ownedByOther:
		return false, c.recordCertificate(ctx, desired, "")
	}
	return c.deleteObjects(ctx, desired)
}

// change is an object that is missing or different. Its live object may be nil.
type change struct {
	kind          objects.Kind
	desired, live *unstructured.Unstructured
}

// applyDomain applies the objects that are missing or different.
func (c *Cluster) applyDomain(ctx context.Context, desired store.Desired) (written bool, err error) {
	certificate, changes, err := c.diff(desired)
	if err != nil {
		return false, err
	}
	if len(changes) > 0 {
		if err := c.applyChanges(ctx, desired, changes); err != nil {
			return true, err
		}
	}
	return len(changes) > 0, c.recordCertificate(ctx, desired, certificate)
}

// ownedByOther reports whether an object of this name belongs to another platform.
func (c *Cluster) ownedByOther(name string) bool {
	return slices.ContainsFunc(c.informers, func(w *kindInformer) bool {
		return w.installed() && c.builder.OwnedByOther(w.live(c.builder.Namespace, name))
	})
}

// diff returns the readiness of the certificate and the objects that are missing or different.
func (c *Cluster) diff(desired store.Desired) (certificate string, changes []change, err error) {
	certificate = notInstalled
	domain := objects.Domain{CDID: desired.CDID, UserUID: desired.UserUID, Host: desired.Host, Target: desired.Target}
	for _, w := range c.informers {
		if !w.installed() {
			continue
		}
		live := w.live(c.builder.Namespace, desired.Name)
		if w.kind == objects.Certificates() {
			certificate = objects.Readiness(live)
		}
		object, err := c.builder.Build(w.kind, domain)
		if err != nil {
			return "", nil, err
		}
		if drift.Differs(object.Object, content(live)) {
			changes = append(changes, change{w.kind, object, live})
		}
	}
	return certificate, changes, nil
}

// applyChanges applies changes and marks the domain as applying meanwhile. While it is marked, a process that removes the domain
// keeps its row, so that objects which are created late are still deleted.
func (c *Cluster) applyChanges(ctx context.Context, desired store.Desired, changes []change) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	err := c.store.BeginApply(ctx, desired, applyTimeout+serverTimeout)
	if errors.Is(err, store.ErrNotFound) {
		return errRequeue
	}
	if err != nil {
		return err
	}
	for _, ch := range changes {
		if err := c.apply(ctx, ch.kind, ch.desired, ch.live); err != nil {
			return err // the API server may have applied it nevertheless
		}
	}
	return c.store.EndApply(ctx, desired.CDID)
}

// apply applies an object. If an immutable field differs, it deletes and creates the object, which holds no data.
func (c *Cluster) apply(ctx context.Context, kind objects.Kind, desired, live *unstructured.Unstructured) error {
	c.metrics.Writes.WithLabelValues(kind.Name, "apply").Inc()
	written, err := drift.Apply(ctx, c.clients, kind.Resource, desired, content(live))
	if apierrors.IsInvalid(err) && live != nil {
		if written, err = c.clients.Recreate(ctx, kind.Resource, desired, live, err); err == nil {
			c.metrics.Writes.WithLabelValues(kind.Name, "delete").Inc()
			c.log.Info("object with immutable fields replaced", zap.String("kind", kind.Name), zap.String("name", desired.GetName()))
		}
	}
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", kind.Name, desired.GetName(), err)
	}
	c.writes.ExpectVersion(desired.GetName(), c.ref(kind, desired.GetName()), written.GetResourceVersion(), time.Now())
	return nil
}

func content(live *unstructured.Unstructured) map[string]any {
	if live == nil {
		return nil
	}
	return live.Object
}

// deleteObjects deletes the existing objects. The certificate's Secret stays, because the domain may be verified again.
func (c *Cluster) deleteObjects(ctx context.Context, desired store.Desired) (written bool, err error) {
	// The route is deleted first, so that it never refers to missing objects.
	for _, w := range slices.Backward(c.informers) {
		if !w.installed() {
			continue
		}
		live := w.live(c.builder.Namespace, desired.Name)
		if live == nil {
			continue
		}
		if err := c.delete(ctx, w.kind.Name, w.kind.Resource, desired.Name, live.GetUID()); err != nil {
			return written, err
		}
		written = true
		c.writes.ExpectDeletion(desired.Name, c.ref(w.kind, desired.Name), time.Now())
	}
	return written, c.recordCertificate(ctx, desired, "")
}

// finalize deletes all objects by name, including those without labels, and then the row of the checks, unless another process
// may still create objects.
func (c *Cluster) finalize(ctx context.Context, desired store.Desired) error {
	found, err := c.find(ctx, desired.Name)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(found, c.builder.OwnedByOther) {
		c.log.Warn("objects of a custom domain belong to another platform and are kept", zap.String("name", desired.Name))
	} else if err := c.deleteFound(ctx, desired, found); err != nil {
		return err
	}
	if desired.Applying {
		return errRequeue
	}
	if err := c.store.Delete(ctx, desired); err != nil {
		return err
	}
	c.log.Info("objects of a custom domain removed", zap.String("cdid", desired.CDID), zap.String("domain", desired.Host))
	return nil
}

// find reads the objects of a name, in the order of objects.Kinds; nil for each that does not exist.
func (c *Cluster) find(ctx context.Context, name string) (found []*unstructured.Unstructured, err error) {
	for _, kind := range objects.Kinds() {
		live, err := c.clients.Find(ctx, kind.Resource, c.builder.Namespace, name)
		if err != nil && !apierrors.IsNotFound(err) { // the cluster may not know the kind
			return nil, fmt.Errorf("find %s %s: %w", kind.Name, name, err)
		}
		found = append(found, live)
	}
	return found, nil
}

// deleteFound deletes what was found, and no later object: meanwhile another process may end the removal, and the domain may be
// verified again.
func (c *Cluster) deleteFound(ctx context.Context, desired store.Desired, found []*unstructured.Unstructured) error {
	if err := c.requireRemoval(ctx, desired); err != nil {
		return err
	}
	for i, kind := range slices.Backward(objects.Kinds()) {
		if found[i] == nil {
			continue
		}
		if err := c.delete(ctx, kind.Name, kind.Resource, desired.Name, found[i].GetUID()); err != nil {
			return err
		}
	}
	// Inner has no right to read this Secret, so its UID is unknown.
	if err := c.requireRemoval(ctx, desired); err != nil {
		return err
	}
	return c.delete(ctx, "Secret", objects.Secrets(), objects.SecretName(desired.CDID), "")
}

// requireRemoval returns errRequeue unless the removal that was read still goes on.
func (c *Cluster) requireRemoval(ctx context.Context, desired store.Desired) error {
	now, err := c.store.Desired(ctx, desired.Name)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!now.Deleting || now.Revision != desired.Revision) {
		return errRequeue
	}
	return err
}

func (c *Cluster) delete(ctx context.Context, kind string, resource schema.GroupVersionResource, name string,
	uid types.UID) error {
	c.metrics.Writes.WithLabelValues(kind, "delete").Inc()
	if err := c.clients.Delete(ctx, resource, c.builder.Namespace, name, uid); err != nil {
		return fmt.Errorf("delete %s %s: %w", kind, name, err)
	}
	return nil
}

// recordCertificate records the readiness of the certificate for operators.
func (c *Cluster) recordCertificate(ctx context.Context, desired store.Desired, certificate string) error {
	if desired.Certificate == certificate {
		return nil
	}
	return c.store.SetCertificate(ctx, desired.CDID, certificate)
}
