package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app"
	domainsadmin "app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/tasks/job"
	workersadmin "app238.com/inner/modules/workers/admin"
)

// partial answers what inner top asks for, but for one part.
type partial struct {
	job.Admin
	failing part
	// limit is the time that the list of workers had.
	limit time.Duration
}

var errAway = errors.New("away")

func (p *partial) errorOf(of part) error {
	if of == p.failing {
		return errAway
	}
	return nil
}

func (p *partial) Activity(context.Context, int64) (job.Activity, error) {
	return job.Activity{Newest: 30, Accepted: 20, Pending: 9, Lanes: []job.Backlog{{Lane: "bulk", Pending: 9}},
		Processes: []job.Load{{Host: "pod-1"}}}, p.errorOf(queuePart)
}

type partialWorkers struct {
	workersadmin.Admin
	*partial
}

func (p partialWorkers) List(ctx context.Context, _ workersadmin.Filter) (workersadmin.Page, error) {
	if deadline, ok := ctx.Deadline(); ok {
		p.limit = time.Until(deadline)
	}
	return workersadmin.Page{Workers: []workersadmin.Worker{{WorkerID: "w1"}}}, p.errorOf(workersPart)
}

func (p partialWorkers) Leader(context.Context) (string, error) {
	return "pod-1", p.errorOf(leaderPart)
}

type partialDomains struct {
	domainsadmin.Admin
	*partial
}

func (p partialDomains) List(context.Context, domainsadmin.Filter) (domainsadmin.Page, error) {
	return domainsadmin.Page{Domains: []domainsadmin.Domain{{CDID: "c1", Domain: "www.user.test"}}}, p.errorOf(domainsPart)
}

func TestTopShowsTheOthersWhileOnePartFails(t *testing.T) {
	t.Parallel()
	for failing := range parts {
		p := &partial{failing: failing}
		m := &topModel{width: 120, height: 40, source: &topSource{ctx: t.Context(),
			admins: app.Admins{Tasks: p, Workers: partialWorkers{partial: p}, Domains: partialDomains{partial: p}}}}
		for range 2 {
			for of := range parts {
				m.Update(m.read(of)())
			}
		}
		require.Greater(t, p.limit, 2*topClusterTimeout, "rows have the time of a reading")
		view := m.View().Content
		shown := map[part]string{queuePart: "bulk 9 pending", workersPart: "w1", domainsPart: "www.user.test",
			leaderPart: "heartbeat 0s ago, leader"}
		for of, text := range shown {
			if of != failing && (of != leaderPart || failing != queuePart) {
				require.Contains(t, view, text, failing)
			}
		}
		if failing != queuePart {
			require.Regexp(t, `[0-9]/s accepted`, view)
		}
		problem := failing.String() + ": away"
		if failing == leaderPart {
			problem = "unknown: away"
		} else {
			require.Contains(t, view, notRead, "what was never read is not taken for none")
			require.NotContains(t, view, "shown as of")
		}
		require.Contains(t, view, problem)
		p.failing = parts
		m.Update(m.read(failing)())
		view = m.View().Content
		require.NotContains(t, view, "away")
		require.Contains(t, view, shown[failing])
	}
}

func TestTopReadsBesideTableThatIsMissing(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.insert(t, "x", "pending", "{}")
	_, err := p.db.ExecContext(t.Context(), `ALTER TABLE custom_domains RENAME TO moved_domains`)
	require.NoError(t, err)
	s := p.onTerminal(t, "top")
	for _, want := range []string{`failing domains: `, `1 pending, 0 processing`, `the oldest for`, `\d/s accepted`} {
		s.Await(0, want)
	}
}

func TestTopShowsWorkersWhileTheClusterIsSilent(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.insertWorker(t, "w1", "u1", "error", "error")
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // nobody accepts
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: "http://%s"}}], contexts: [{name: c, context: {cluster: c}}]}`, silent.Addr()), 0o600))
	s := p.onTerminal(t, "top", "-k", kubeconfig)
	s.Await(0, `Tasks`)
	begin := time.Now()
	s.Await(0, `CrashLoopBackOff`)
	require.Less(t, time.Since(begin), topTimeout-2*time.Second, "the cluster has taken all the time of the rows")
	s.Await(0, `not counted: `)
}
