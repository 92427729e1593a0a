package kube

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/config"
)

// LeaseName is the name of the Lease that an Election rests on. Platforms that share a control namespace have worker
// namespaces of their own.
func LeaseName(c *config.Config) string {
	return c.Controller.LeaderElection.Lease + "-" + c.Kubernetes.Namespaces.Worker
}

// Leader returns the process that leads by the Election's Lease, "" where none has renewed it in time.
func (c *Clients) Leader(ctx context.Context, cfg *config.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	lease, err := c.Typed.CoordinationV1().Leases(cfg.Kubernetes.Namespaces.Control).Get(ctx, LeaseName(cfg), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	spec := lease.Spec
	if spec.HolderIdentity == nil || spec.RenewTime == nil || time.Since(spec.RenewTime.Time) > 2*cfg.Controller.LeaderElection.LeaseDuration {
		return "", nil
	}
	return *spec.HolderIdentity, nil
}
