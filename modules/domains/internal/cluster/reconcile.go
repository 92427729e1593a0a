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

	"app238.com/inner/app/kube/drift"
	"app238.com/inner/app/kube/workqueue"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
)

// notInstalled is what is said of a certificate in a cluster without cert-manager.
const notInstalled = "cert-manager is not installed"

// notOurs is what is said of a domain whose objects' name another platform uses in a namespace that both share.
const notOurs = "objects of this name are another platform's"

// errBusy makes a reconcile look again soon, and is no failure.
var errBusy = errors.New("another process changes the desired state or the objects, or the cache is behind what was written")

// reconcile brings the objects of a name to what the database wishes. Objects that the database knows nothing of are left:
// it may be the wrong one, and deleting them is for the audit to decide.
func (c *Cluster) reconcile(ctx context.Context, name string) (workqueue.Result, error) {
	if c.writes.Remaining(name, c.cached, time.Now()) > 0 {
		return workqueue.Result{RequeueAfter: again}, nil
	}
	desired, err := c.store.Desired(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		c.unsee(name)
		return workqueue.Result{}, nil
	}
	if err != nil {
		return workqueue.Result{}, err
	}
	wrote, err := c.applyOrDelete(ctx, desired)
	if errors.Is(err, errBusy) {
		return workqueue.Result{RequeueAfter: again, Written: wrote}, nil
	}
	if err == nil && !desired.Gone {
		c.see(desired)
	}
	return workqueue.Result{Written: wrote}, err
}

func (c *Cluster) applyOrDelete(ctx context.Context, desired store.Desired) (wrote bool, err error) {
	switch foreign := c.foreign(desired.Name); {
	case desired.Served && foreign:
		return false, c.note(ctx, desired, notOurs)
	case desired.Served:
		return c.serve(ctx, desired)
	case desired.Gone:
		return false, c.remove(ctx, desired, foreign)
	case foreign:
		return false, c.note(ctx, desired, "")
	}
	return c.withdraw(ctx, desired)
}

// change is an object that is missing or different.
type change struct {
	kind         objects.Kind
	wished, live *unstructured.Unstructured
}

// serve makes what is missing or different.
func (c *Cluster) serve(ctx context.Context, desired store.Desired) (wrote bool, err error) {
	certificate, changes, err := c.compare(desired)
	if err != nil {
		return false, err
	}
	if len(changes) > 0 {
		if err := c.make(ctx, desired, changes); err != nil {
			return true, err
		}
	}
	return len(changes) > 0, c.note(ctx, desired, certificate)
}

// foreign tells whether another platform has made an object of this name.
func (c *Cluster) foreign(name string) bool {
	return slices.ContainsFunc(c.watches, func(w *watched) bool {
		return w.installed() && c.builder.Foreign(w.live(c.builder.Namespace, name))
	})
}

// compare tells how the certificate is, and what is missing or different.
func (c *Cluster) compare(desired store.Desired) (certificate string, changes []change, err error) {
	certificate = notInstalled
	for _, w := range c.watches {
		if !w.installed() {
			continue
		}
		live := w.live(c.builder.Namespace, desired.Name)
		if w.kind == objects.Certificates() {
			certificate = objects.Readiness(live)
		}
		wished, err := c.builder.Build(w.kind, objects.Domain{CDID: desired.CDID, UserUID: desired.UserUID, Host: desired.Host, Target: desired.Target})
		if err != nil {
			return "", nil, err
		}
		if drift.Differs(wished.Object, content(live)) {
			changes = append(changes, change{w.kind, wished, live})
		}
	}
	return certificate, changes, nil
}

// make applies what differs, and has the others know meanwhile: who removes the domain forgets it only when nothing can be
// made of it any more, or nobody would look for that again.
func (c *Cluster) make(ctx context.Context, desired store.Desired, changes []change) error {
	ctx, cancel := context.WithTimeout(ctx, makeLimit)
	defer cancel()
	err := c.store.BeginApply(ctx, desired, makeLimit+landLimit)
	if errors.Is(err, store.ErrNotFound) {
		return errBusy
	}
	if err != nil {
		return err
	}
	for _, ch := range changes {
		if err := c.apply(ctx, ch.kind, ch.wished, ch.live); err != nil {
			return err // it may have been carried out all the same
		}
	}
	return c.store.EndApply(ctx, desired.CDID)
}

// apply writes an object. One that somebody made with a value which can never be changed is made anew where that helps: none
// holds anything that could be lost.
func (c *Cluster) apply(ctx context.Context, kind objects.Kind, desired, live *unstructured.Unstructured) error {
	c.metrics.Writes.WithLabelValues(kind.Name, "apply").Inc()
	written, err := drift.Apply(ctx, c.clients, kind.Resource, desired, content(live))
	if apierrors.IsInvalid(err) && live != nil {
		if written, err = c.clients.Recreate(ctx, kind.Resource, desired, err); err == nil {
			c.metrics.Writes.WithLabelValues(kind.Name, "delete").Inc()
			c.log.Info("replaced an object that cannot be changed", zap.String("kind", kind.Name), zap.String("name", desired.GetName()))
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

// withdraw deletes the objects that are there. The certificate's Secret stays: the domain may come back.
func (c *Cluster) withdraw(ctx context.Context, desired store.Desired) (wrote bool, err error) {
	// The route goes first, so that none leads to what is not there.
	for _, w := range slices.Backward(c.watches) {
		if !w.installed() || w.live(c.builder.Namespace, desired.Name) == nil {
			continue
		}
		if err := c.delete(ctx, w.kind.Name, w.kind.Resource, desired.Name); err != nil {
			return wrote, err
		}
		wrote = true
		c.writes.ExpectDeletion(desired.Name, c.ref(w.kind, desired.Name), time.Now())
	}
	return wrote, c.note(ctx, desired, "")
}

// remove deletes everything by its name, also what lost its labels, and then what is known of the domain, unless another
// process may yet make something of it.
func (c *Cluster) remove(ctx context.Context, desired store.Desired, foreign bool) error {
	if foreign {
		c.log.Warn("objects of a custom domain are another platform's and stay", zap.String("name", desired.Name))
	} else if err := c.removeAll(ctx, desired); err != nil {
		return err
	}
	if desired.Applying {
		return errBusy
	}
	if err := c.store.Forget(ctx, desired); err != nil {
		return err
	}
	c.log.Info("objects of a custom domain removed", zap.String("cdid", desired.CDID), zap.String("domain", desired.Host))
	return nil
}

func (c *Cluster) removeAll(ctx context.Context, desired store.Desired) error {
	for _, kind := range slices.Backward(objects.Kinds()) {
		if err := c.delete(ctx, kind.Name, kind.Resource, desired.Name); err != nil {
			return err
		}
	}
	return c.delete(ctx, "Secret", objects.Secrets(), objects.SecretName(desired.CDID))
}

func (c *Cluster) delete(ctx context.Context, kind string, resource schema.GroupVersionResource, name string) error {
	c.metrics.Writes.WithLabelValues(kind, "delete").Inc()
	if err := c.clients.Delete(ctx, resource, c.builder.Namespace, name); err != nil {
		return fmt.Errorf("delete %s %s: %w", kind, name, err)
	}
	return nil
}

// note has operators see how the certificate is.
func (c *Cluster) note(ctx context.Context, desired store.Desired, certificate string) error {
	if desired.Certificate == certificate {
		return nil
	}
	return c.store.SetCertificate(ctx, desired.CDID, certificate)
}
