package kube

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"app238.com/inner/app/config"
)

// electionQPS and electionBurst are far more than one replica's share of an election needs.
const (
	electionQPS   = 5
	electionBurst = 10
)

// ErrNotLeading says that another replica does, or may do by now, what this one wanted to.
var ErrNotLeading = errors.New("this process is not the leader")

// Election has one of several replicas do what only one may do at a time. It rests on a Lease in the control namespace.
type Election struct {
	config config.LeaderElection
	lock   *lock
	log    *zap.Logger
}

// NewElection prepares this process's part in an election, under an identity of its own.
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

// Run takes part until stopping ends. While this process leads, lead runs, once for each term; its context ends with the
// term. When stopping ends, lead has to come to an end by itself, and then the lease is given up for others to take.
func (e *Election) Run(ctx, stopping context.Context, lead func(term context.Context)) {
	for stopping.Err() == nil && ctx.Err() == nil {
		if err := e.term(ctx, stopping, lead); err != nil {
			e.log.Error("no part in the election of a leader", zap.Error(err))
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
		e.log.Info("leading", zap.String("identity", e.lock.Identity()))
		lead(term)
		e.log.Info("not leading any more", zap.Bool("stopping", stopping.Err() != nil))
	case <-stopping.Done():
	case <-done:
	}
	cancel()
	<-done
	return nil
}

// Lead returns nil while this process leads, and ErrNotLeading as soon as it could not renew its lease for the time that
// leaves the others no doubt.
func (e *Election) CheckLeader() error {
	if e.lock.sinceRenewal() < e.config.RenewDeadline {
		return nil
	}
	return ErrNotLeading
}

// Leader returns who leads, as far as this process can tell, and "" where nobody does.
func (e *Election) Leader() string {
	leader, age := e.lock.leader()
	if age > e.config.LeaseDuration {
		return ""
	}
	return leader
}
