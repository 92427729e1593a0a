package controller_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	clusterproxy "app238.com/inner/test/proxy"
)

// proxy stands between a controller and the API server: it notes what is written, and can answer in its place.
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

// besides tells whether a path is one of what is no worker's object: the leader's lease, and events.
func isLeaseOrEvent(path string) bool {
	return strings.Contains(path, "/leases") || strings.Contains(path, "/events")
}

// answerWith has requests answered by answer where it returns true; nil ends that.
func (p *proxy) setAnswer(answer clusterproxy.Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// writes returns method and path of every write so far, but those of the lease and of events.
func (p *proxy) writes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.wrote)
}

// asked returns how often a path with that end was read.
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
