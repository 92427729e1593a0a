package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"k8s.io/client-go/tools/metrics"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/memory"
	"app238.com/inner/modules/controller"
	"app238.com/inner/modules/controller/rollout"
)

// roleLeading is the role of the leader.
const roleLeading = "leading"

// replicaCommand has this program be one process of Inner, with its controller and its default settings alone.
const replicaCommand = "replica"

// stats is what a replica tells of itself.
type stats struct {
	// Synced is when the caches had everything, in nanoseconds since 1970, and SyncSeconds how long after the start
	// of the process; zero before.
	Synced      int64   `json:"synced"`
	SyncSeconds float64 `json:"sync_seconds"`
	// Leading and Standby are what it does in the election.
	Leading bool `json:"leading"`
	Standby bool `json:"standby"`
	// Writes counts requests other than reads by method and path, with placeholders for names.
	Writes map[string]int `json:"writes"`
	// Reconciles counts reconciles.
	Reconciles int `json:"reconciles"`
	// Resident, Peak and Heap are bytes: of the process, at most so far, and what the Go runtime still needs after
	// a garbage collection.
	Resident, Peak, Heap int64
}

// known is a source and a recorder that cost nothing.
type known struct{}

func (known) Content(context.Context, string, string) (rollout.Content, error) {
	return rollout.Content{Env: map[string]string{"GREETING": "hello"}, SecretKey: "sk_bench"}, nil
}

func (known) Record(context.Context, rollout.Outcome) error { return nil }

// counter counts requests for client-go.
type counter struct {
	mu     sync.Mutex
	writes map[string]int
}

// Observe implements metrics.LatencyMetric.
func (c *counter) Observe(_ context.Context, verb string, u url.URL, _ time.Duration) {
	if verb == http.MethodGet {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes[verb+" "+u.Path]++
}

func (c *counter) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.writes)
}

// replica is the state of the process.
type replica struct {
	begun      time.Time
	controller *controller.Controller
	counter    *counter
	registry   *prometheus.Registry

	mu     sync.Mutex
	synced time.Time
}

// runReplica runs until it gets a signal. It listens on the address in the environment.
func runReplica(ctx context.Context, args []string) error {
	r := &replica{begun: time.Now(), counter: &counter{writes: map[string]int{}}, registry: prometheus.NewRegistry()}
	metrics.Register(metrics.RegisterOpts{RequestLatency: r.counter})
	flags := pflag.NewFlagSet(replicaCommand, pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := config.Load(flags)
	if err != nil {
		return err
	}
	clients, err := kube.NewClients(c)
	if err != nil {
		return err
	}
	log, err := zap.NewProduction()
	if err != nil {
		return err
	}
	if r.controller, err = controller.New(c, log, clients, r.registry, known{}, known{}); err != nil {
		return err
	}
	defer memory.LimitGarbage()()
	server := &http.Server{Addr: c.HTTP.Listen, Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	stopProfile, err := profile(os.Getenv(profileVariable))
	if err != nil {
		return err
	}
	if err := r.controller.Start(ctx); err != nil {
		return err
	}
	go r.awaitSync(ctx)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := r.controller.Stop(stopping); err != nil {
		return err
	}
	return stopProfile()
}

func (r *replica) awaitSync(ctx context.Context) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if r.controller.Ready(ctx) == nil && r.controller.Role() == roleLeading {
			r.mu.Lock()
			r.synced = time.Now()
			r.mu.Unlock()
			return
		}
		<-ticker.C
	}
}

func (r *replica) serve(w http.ResponseWriter, request *http.Request) {
	ready, leads := r.controller.Ready(request.Context()) == nil, r.controller.Role() == roleLeading
	s := stats{Writes: r.counter.counts(), Reconciles: r.reconciles(), Leading: ready && leads, Standby: ready && !leads}
	r.mu.Lock()
	if !r.synced.IsZero() {
		s.Synced, s.SyncSeconds = r.synced.UnixNano(), r.synced.Sub(r.begun).Seconds()
	}
	r.mu.Unlock()
	if request.URL.Query().Has("memory") {
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.Heap = int64(m.HeapAlloc)
	}
	s.Resident, s.Peak = processMemory()
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(s); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// reconciles returns the number of reconciles in Inner's own metric.
func (r *replica) reconciles() int {
	families, err := r.registry.Gather()
	if err != nil {
		return 0
	}
	var n float64
	for _, family := range families {
		if family.GetName() == "inner_controller_reconciles_total" {
			for _, m := range family.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return int(n)
}

// processMemory returns this process's resident memory, now and at most.
func processMemory() (now, peak int64) {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "VmRSS:":
			now = kilobytes << 10
		case "VmHWM:":
			peak = kilobytes << 10
		}
	}
	return now, peak
}

// profile writes a CPU profile of this process to file until it is stopped.
func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
