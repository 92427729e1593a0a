package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
)

// notInstalled is what is said of a certificate in a cluster without cert-manager.
const notInstalled = "cert-manager is not installed"

// reconcile brings the objects of a name to what the database wishes. Objects that the database knows nothing of are left:
// it may be the wrong one, and deleting them is for the audit to decide.
func (c *Cluster) reconcile(ctx context.Context, name string) error {
	wish, err := c.store.Wish(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		c.unsee(name)
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case wish.Served:
		err = c.serve(ctx, wish)
	case wish.Gone:
		err = c.remove(ctx, wish)
	default:
		err = c.withdraw(ctx, wish)
	}
	if err == nil && !wish.Gone {
		c.see(wish)
	}
	return err
}

// serve makes what is missing or different. What it made stays only if the wish still stands: another process may have
// removed the domain's objects meanwhile, and nobody would look for them again.
func (c *Cluster) serve(ctx context.Context, wish store.Wish) error {
	certificate, applied, err := c.make(ctx, wish)
	if applied {
		err = errors.Join(err, c.takeBack(ctx, wish))
	}
	if err != nil {
		return err
	}
	return c.note(ctx, wish, certificate)
}

// make tells how the certificate is, and whether something was missing or different, also where it could not be applied.
func (c *Cluster) make(ctx context.Context, wish store.Wish) (certificate string, applied bool, err error) {
	certificate = notInstalled
	for _, w := range c.watches {
		if !w.installed() {
			continue
		}
		live := w.live(c.builder.Namespace, wish.Name)
		if w.kind == objects.Certificates() {
			certificate = objects.Readiness(live)
		}
		wished, err := c.builder.Build(w.kind, objects.Domain{CDID: wish.CDID, UserUID: wish.UserUID, Host: wish.Host, Target: wish.Target})
		if err != nil {
			return "", applied, err
		}
		if objects.Differs(wished, live) {
			applied = true
			if err := c.apply(ctx, w.kind, wished, live); err != nil {
				return "", applied, err
			}
		}
	}
	return certificate, applied, nil
}

// takeBack removes what was made for a wish that has gone meanwhile.
func (c *Cluster) takeBack(ctx context.Context, wish store.Wish) error {
	now, err := c.store.Wish(ctx, wish.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && !now.Gone {
		return nil
	}
	return c.remove(ctx, wish)
}

// apply writes an object. One that somebody made with a value which can never be changed is made anew: none holds
// anything that could be lost.
func (c *Cluster) apply(ctx context.Context, kind objects.Kind, wished, live *unstructured.Unstructured) error {
	c.metrics.Writes.WithLabelValues(kind.Name, "apply").Inc()
	_, err := c.clients.Apply(ctx, kind.Resource, wished)
	if apierrors.IsInvalid(err) && live != nil {
		c.log.Info("replacing an object that cannot be changed", zap.String("kind", kind.Name), zap.String("name", wished.GetName()))
		if err = c.delete(ctx, kind.Name, kind.Resource, wished.GetName()); err == nil {
			_, err = c.clients.Apply(ctx, kind.Resource, wished)
		}
	}
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", kind.Name, wished.GetName(), err)
	}
	return nil
}

// withdraw deletes the objects that are there. The certificate's Secret stays: the domain may come back.
func (c *Cluster) withdraw(ctx context.Context, wish store.Wish) error {
	// The route goes first, so that none leads to what is not there.
	for _, w := range slices.Backward(c.watches) {
		if !w.installed() || w.live(c.builder.Namespace, wish.Name) == nil {
			continue
		}
		if err := c.delete(ctx, w.kind.Name, w.kind.Resource, wish.Name); err != nil {
			return err
		}
	}
	return c.note(ctx, wish, "")
}

// remove deletes everything by its name, also what lost its labels, and then what is known of the domain.
func (c *Cluster) remove(ctx context.Context, wish store.Wish) error {
	for _, kind := range slices.Backward(objects.Kinds()) {
		if err := c.delete(ctx, kind.Name, kind.Resource, wish.Name); err != nil {
			return err
		}
	}
	if err := c.delete(ctx, "Secret", objects.Secrets(), objects.SecretName(wish.CDID)); err != nil {
		return err
	}
	if err := c.store.Forget(ctx, wish); err != nil {
		return err
	}
	c.log.Info("objects of a custom domain removed", zap.String("cdid", wish.CDID), zap.String("domain", wish.Host))
	return nil
}

func (c *Cluster) delete(ctx context.Context, kind string, resource schema.GroupVersionResource, name string) error {
	c.metrics.Writes.WithLabelValues(kind, "delete").Inc()
	if err := c.clients.Delete(ctx, resource, c.builder.Namespace, name); err != nil {
		return fmt.Errorf("delete %s %s: %w", kind, name, err)
	}
	return nil
}

// note has operators see how the certificate is.
func (c *Cluster) note(ctx context.Context, wish store.Wish, certificate string) error {
	if wish.Certificate == certificate {
		return nil
	}
	return c.store.SetCertificate(ctx, wish.CDID, certificate)
}
