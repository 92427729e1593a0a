package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"app238.com/inner/test/proxy"
)

// action is one verb of the API server's authorization on one kind of object.
type action struct{ verb, group, resource, namespace, name string }

// String writes an action as one reads it.
func (a action) String() string {
	return fmt.Sprintf("%s %s.%s in %q, name %q", a.verb, a.resource, a.group, a.namespace, a.name)
}

// recorder stands between Inner and the API server and notes what is done and what is refused.
type recorder struct {
	*proxy.Cluster
	mu      sync.Mutex
	used    []action
	refused []string
}

// newRecorder passes requests on to the cluster of a kubeconfig, as the one that token stands for: Inner itself sends no
// token on a way that is not encrypted.
func newRecorder(t *testing.T, kubeconfig, token string) *recorder {
	t.Helper()
	r := &recorder{}
	r.Cluster = proxy.NewCluster(t, kubeconfig, proxy.ClusterOptions{Token: token, Note: r.note})
	return r
}

// note records what one answer tells.
func (r *recorder) note(answer *http.Response) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	actions := actionsOf(answer)
	if answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusUnauthorized {
		refused := fmt.Sprintf("%s: %s %s: %v", answer.Status, answer.Request.Method, answer.Request.URL.Path, actions)
		if !slices.Contains(r.refused, refused) {
			r.refused = append(r.refused, refused)
		}
		return nil
	}
	for _, a := range actions {
		if !slices.Contains(r.used, a) {
			r.used = append(r.used, a)
		}
	}
	return nil
}

func (r *recorder) seen() (refused []string, used []action) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.refused), slices.Clone(r.used)
}

// actionsOf returns what the API server asked its authorization: nothing for paths that are no objects, and for an apply
// that made the object both patch and create.
func actionsOf(answer *http.Response) []action {
	r := answer.Request
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var a action
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		a.group, parts = parts[1], parts[3:]
	default:
		return nil
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		a.namespace, parts = parts[1], parts[2:]
	}
	a.resource = parts[0]
	if len(parts) > 1 {
		a.name = parts[1]
	}
	if len(parts) > 2 {
		a.resource += "/" + parts[2]
	}
	watching := r.URL.Query().Get("watch")
	switch r.Method {
	case http.MethodGet:
		a.verb = "get"
		if a.name == "" {
			a.verb = "list"
		}
		if watching == "true" || watching == "1" {
			a.verb = "watch"
		}
	case http.MethodPost:
		a.verb = "create"
	case http.MethodPut:
		a.verb = "update"
	case http.MethodDelete:
		a.verb = "delete"
		if a.name == "" {
			a.verb = "deletecollection"
		}
	case http.MethodPatch:
		a.verb = "patch"
		if answer.StatusCode == http.StatusCreated {
			made := a
			made.verb = "create"
			return []action{a, made}
		}
	}
	return []action{a}
}
