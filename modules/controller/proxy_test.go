package controller_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	clusterproxy "app238.com/inner/test/proxy"
)

// proxy is between a controller and the API server: it records requests, and can answer them itself.
type proxy struct {
	*clusterproxy.Cluster

	mu     sync.Mutex
	answer clusterproxy.Answer
	read   []string
	wrote  []string
}

func newProxy(t *testing.T, kubeconfig string) *proxy {
	t.Helper()
	p := &proxy{Cluster: clusterproxy.NewCluster(t, kubeconfig, clusterproxy.ClusterOptions{})}
	p.AnswerWith(p.handled)
	return p
}

func (p *proxy) handled(w http.ResponseWriter, r *http.Request) bool {
	p.mu.Lock()
	if r.Method == http.MethodGet {
		p.read = append(p.read, r.URL.Path)
	} else if !isLeaseOrEvent(r.URL.Path) {
		p.wrote = append(p.wrote, r.Method+" "+r.URL.Path)
	}
	answer := p.answer
	p.mu.Unlock()
	return answer != nil && answer(w, r)
}

// isLeaseOrEvent reports whether a path is of the leader's lease or an event.
func isLeaseOrEvent(path string) bool {
	return strings.Contains(path, "/leases") || strings.Contains(path, "/events")
}

// setAnswer lets answer handle the requests for which it returns true; nil handles none.
func (p *proxy) setAnswer(answer clusterproxy.Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// writes returns method and path of every write so far, without those of lease and events.
func (p *proxy) writes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.wrote)
}

// reads returns how often paths with this suffix were read.
func (p *proxy) reads(end string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, path := range p.read {
		if strings.HasSuffix(path, end) {
			n++
		}
	}
	return n
}
