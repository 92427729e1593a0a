package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"app238.com/inner/test/stack/ports"
	"app238.com/inner/test/stack/process"
)

const (
	// profileVariable names the file of a replica's CPU profile.
	profileVariable = "BENCH_CPU_PROFILE"
	// poll is how often a replica is asked how far it is.
	poll      = 5 * time.Millisecond
	stopLimit = 15 * time.Second
	// imageGOGC is what the Dockerfile sets.
	imageGOGC = "GOGC=200"
	// lease and events end the paths of requests that are about no object of a worker.
	lease, events = "/leases", "/events"
)

// inner is a replica from outside.
type inner struct {
	address string
	process *process.Process
}

// startInner runs a replica; settings are variables like INNER_CONTROLLER_WORKERS=8.
func (w *fixture) startInner(ctx context.Context, settings ...string) (*inner, error) {
	free, err := ports.Free(ctx, 1)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", free[0])
	p, err := process.Start(process.Spec{
		Args:    []string{replicaCommand, "-k", w.plane.Kubeconfig(), "-l", address},
		Env:     append([]string{"DOMAIN=bench.test", "HOME=" + w.plane.Dir(), imageGOGC}, settings...),
		LogFile: filepath.Join(w.plane.Dir(), "inner.log"),
		Name:    "inner",
		Path:    program,
	})
	if err != nil {
		return nil, err
	}
	return &inner{address: address, process: p}, nil
}

// stop ends the replica the way a rolling update of Inner does.
func (i *inner) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return i.process.Stop(ctx, stopLimit)
}

func (i *inner) stats(ctx context.Context, query string) (stats, error) {
	var s stats
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.address+"/stats"+query, nil)
	if err != nil {
		return s, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return s, err
	}
	defer func() { _ = response.Body.Close() }()
	err = json.NewDecoder(response.Body).Decode(&s)
	return s, err
}

// await asks until enough returns true.
func (i *inner) await(ctx context.Context, enough func(stats) bool) (stats, error) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		if s, err := i.stats(ctx, ""); err == nil && enough(s) {
			return s, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return stats{}, ctx.Err()
		}
	}
}

func synced(s stats) bool { return s.Synced != 0 }

// objectWrites is how many requests wrote workers' objects and statuses.
func (s stats) objectWrites() int {
	n := 0
	for key, count := range s.Writes {
		if !strings.Contains(key, lease) && !strings.Contains(key, events) {
			n += count
		}
	}
	return n
}

// eventWrites is how many requests wrote events.
func (s stats) eventWrites() int {
	n := 0
	for key, count := range s.Writes {
		if strings.Contains(key, events) {
			n += count
		}
	}
	return n
}
