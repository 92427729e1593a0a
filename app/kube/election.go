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

// electionRequests is how many requests an election may send within one retry period, twice as many as it sends at most.
const electionRequests = 4

// lockTimeoutShare is the part of the renew deadline that one request may take: a lost one does not cost the lease.
const lockTimeoutShare = 2

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
	e := c.Controller.LeaderElection
	limited, err := clients.WithRateLimit(float32(electionRequests/e.RetryPeriod.Seconds()), electionRequests)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name of this host: %w", err)
	}
	return &Election{config: e, log: log, lock: &lock{
		Interface: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: c.Kubernetes.Namespaces.Control, Name: LeaseName(c)},
			Client:     limited.Typed.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + rand.Text()},
		},
		now: time.Now, timeout: e.RenewDeadline / lockTimeoutShare,
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
	e.lock.releasable.Store(false)
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
		e.lock.releasable.Store(term.Err() == nil) // else what was sent last has the rest of the lease to arrive
		e.log.Info("leadership lost", zap.Bool("stopping", stopping.Err() != nil))
	case <-stopping.Done():
		e.lock.releasable.Store(true) // it may just have been acquired, and nothing was written
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

// Leader reads the identity of the leader from the election's Lease; "" if nobody renews it. Where the time in the Lease is not
// about now, the leader is dead or its clock differs from this machine's: a second reading, when a leader has to have renewed it,
// tells which.
func (c *Clients) Leader(ctx context.Context, cfg *config.Config) (string, error) {
	if c.missing != nil {
		return "", c.missing
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	election := cfg.Controller.LeaderElection
	holder, renewed, err := c.lease(ctx, cfg)
	if err != nil || holder == "" || time.Since(renewed).Abs() <= 2*election.LeaseDuration {
		return holder, err
	}
	wait := election.RenewDeadline
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/2)
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(wait):
	}
	again, renewedAgain, err := c.lease(ctx, cfg)
	if err != nil || again == holder && renewedAgain.Equal(renewed) {
		return "", err
	}
	return again, nil
}

// lease returns the holder of the election's Lease and the time of its last renewal by its clock; "" if there is none.
func (c *Clients) lease(ctx context.Context, cfg *config.Config) (holder string, renewed time.Time, err error) {
	lease, err := c.Typed.CoordinationV1().Leases(cfg.Kubernetes.Namespaces.Control).Get(ctx, LeaseName(cfg), metav1.GetOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			err = nil
		}
		return "", time.Time{}, err
	}
	if lease.Spec.HolderIdentity == nil || lease.Spec.RenewTime == nil {
		return "", time.Time{}, nil
	}
	return *lease.Spec.HolderIdentity, lease.Spec.RenewTime.Time, nil
}
