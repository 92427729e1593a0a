package kube

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"app238.com/inner/app/config"
)

// electionQPS and electionBurst are far above what one replica sends for an election.
const (
	electionQPS   = 5
	electionBurst = 10
)

// ErrNotLeading means that another replica leads, or may lead by now.
var ErrNotLeading = errors.New("this process is not the leader")

// Election elects one leader among the replicas by a Lease in the control namespace.
type Election struct {
	config config.LeaderElection
	lock   *lock
	log    *zap.Logger
}

// NewElection returns an election in which this process takes part under a unique identity.
func NewElection(c *config.Config, clients *Clients, log *zap.Logger) (*Election, error) {
	limited, err := clients.WithRateLimit(electionQPS, electionBurst)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name of this host: %w", err)
	}
	e := c.Controller.LeaderElection
	return &Election{config: e, log: log, lock: &lock{
		Interface: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: c.Kubernetes.Namespaces.Control, Name: LeaseName(c)},
			Client:     limited.Typed.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + rand.Text()},
		},
		now: time.Now,
	}}, nil
}

// Run takes part in the election until stopping is done. It calls lead once per term, with a context that ends with the
// term. When stopping is done, lead must return by itself; the lease is released afterwards.
func (e *Election) Run(ctx, stopping context.Context, lead func(term context.Context)) {
	for stopping.Err() == nil && ctx.Err() == nil {
		if err := e.term(ctx, stopping, lead); err != nil {
			e.log.Error("leader election failed", zap.Error(err))
			return
		}
	}
}

func (e *Election) term(ctx, stopping context.Context, lead func(term context.Context)) error {
	electionCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	elected := make(chan context.Context, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            e.lock,
		LeaseDuration:   e.config.LeaseDuration,
		RenewDeadline:   e.config.RenewDeadline,
		RetryPeriod:     e.config.RetryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(term context.Context) { elected <- term },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		elector.Run(electionCtx)
	}()
	select {
	case term := <-elected:
		e.log.Info("leadership acquired", zap.String("identity", e.lock.Identity()))
		lead(term)
		e.log.Info("leadership lost", zap.Bool("stopping", stopping.Err() != nil))
	case <-stopping.Done():
	case <-done:
	}
	cancel()
	<-done
	return nil
}

// CheckLeader returns nil while this process leads, and ErrNotLeading once it has not renewed its lease within the renew
// deadline.
func (e *Election) CheckLeader() error {
	if e.lock.sinceRenewal() < e.config.RenewDeadline {
		return nil
	}
	return ErrNotLeading
}

// Leader returns the identity of the leader that this process last observed, "" if its lease has expired.
func (e *Election) Leader() string {
	leader, age := e.lock.leader()
	if age > e.config.LeaseDuration {
		return ""
	}
	return leader
}

// LeaseName returns the name of the election's Lease. It includes the worker namespace, since several platforms may share a
// control namespace.
func LeaseName(c *config.Config) string {
	return c.Controller.LeaderElection.Lease + "-" + c.Kubernetes.Namespaces.Worker
}

// Leader reads the identity of the leader from the election's Lease; "" if the Lease has expired.
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
	if spec.HolderIdentity == nil || spec.RenewTime == nil ||
		time.Since(spec.RenewTime.Time) > 2*cfg.Controller.LeaderElection.LeaseDuration {
		return "", nil
	}
	return *spec.HolderIdentity, nil
}
