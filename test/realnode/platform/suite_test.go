// Package platform_test runs Inner as it is delivered, its image by its manifests, on a real node behind a real Traefik, and
// sends requests to workers on the way that users' requests take.
package platform_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/realnode/network"
	"app238.com/inner/test/realnode/testnode"
)

const (
	domain   = "real.test"
	limit    = 3 * time.Minute
	tick     = 100 * time.Millisecond
	innerURL = "http://inner-gateway.console.svc.cluster.local:9901"
	web      = "app238.com/inner/test/realnode/images/web"
)

// platform is a node with Inner on it.
type platform struct {
	*testnode.Node
	db       *sql.DB // the platform's database, as the Outer Gateway has it
	folder   string  // the operator's overlay
	settings string  // inner.yaml
}

// TestPlatform holds the tests that one installation serves.
func TestPlatform(t *testing.T) {
	t.Parallel()
	p := &platform{Node: testnode.Of(t), folder: t.TempDir(), settings: "domain: " + domain + "\n" +
		"domains: {scanInterval: 1s, resyncInterval: 2s, dns: {resolvers: [\"" + network.Node + ":53\"]}}\n"}
	p.install(t)
	for _, image := range []struct {
		tag         string
		environment []string
	}{
		{"1", []string{"WORDS=one"}},
		{"2", []string{"WORDS=two"}},
		{"3", []string{"WORDS=three", "PORT=9090"}},
		{"hungry", []string{"WORDS=hungry", "EAT=128"}},
		{"dying", []string{"WORDS=dying", "DIE_AFTER=4s"}},
		{"crashing", []string{"WORDS=crashing", "PORT=9091", "DIE_AFTER=0s"}},
	} {
		p.Image(t, web, "localhost/web:"+image.tag, image.environment...)
	}
	_, err := p.db.ExecContext(t.Context(),
		`INSERT INTO users (uid, email, password_hash, secret_key) VALUES ('u1', 'u1@example.com', 'x', 'sk_real')`)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.podStates(t))
		}
	})
	t.Run("Workers", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *platform){
			"Commands": testCommands, "Death": testDeath, "Domain": testDomain, "Inside": testInside,
			"Reach": testReach, "Removal": testRemoval, "Way": testWay,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, p)
			})
		}
	})
	// What is done to Inner itself, or to the nodes, is done when nobody else needs them.
	for _, test := range []struct {
		name string
		run  func(*testing.T, *platform)
	}{
		{"Upgrade", testUpgrade}, {"Drain", testDrain}, {"Move", testMove}, {"KilledLeader", testKilledLeader},
		{"EarlierRelease", testEarlierRelease},
	} {
		p.clear(t)
		t.Run(test.name, func(t *testing.T) { test.run(t, p) })
	}
}

// worker is a worker as the Outer Gateway's rows have it.
type worker struct {
	id  string
	row int
}

func (k worker) name() string { return workerapp.Name(k.id, "u1") }

func (k worker) host() string { return workerapp.Hosts(k.id, "u1", domain)[0] }

// worker inserts the row of a worker, small enough that several fit on the node.
func (p *platform) worker(t *testing.T, id string, replicas int) worker {
	t.Helper()
	k := worker{id: id}
	require.NoError(t,
		p.db.QueryRowContext(t.Context(), `INSERT INTO workers (wid, user_uid, worker_name, assigned_cpu, assigned_memory,
		assigned_disk, max_replicas, main_region, env_json) VALUES ($1, 'u1', 'a worker', '100m', '64Mi', '64Mi', $2, '',
			'{"COLOUR": "blue"}')
		RETURNING id`, id, replicas).Scan(&k.row))
	return k
}

// deploy asks for a version and returns its number.
func (p *platform) deploy(t *testing.T, k worker, tag string, port int) (version int) {
	t.Helper()
	var receipt struct {
		VersionID int    `json:"version_id"`
		Error     string `json:"error"`
	}
	p.ask(t, "/api/worker/deploy",
		map[string]any{"user_uid": "u1", "worker_id": k.id, "image": "localhost/web:" + tag, "port": port}, &receipt)
	require.NotZero(t, receipt.VersionID, receipt.Error)
	return receipt.VersionID
}

// ask sends Inner a request, as Outer does, again while it cannot be had.
func (p *platform) ask(t *testing.T, path string, body, answer any) {
	t.Helper()
	content, err := json.Marshal(body)
	require.NoError(t, err)
	var status int
	var text []byte
	key := rand.Text()
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, innerURL+path, bytes.NewReader(content))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		text, err = io.ReadAll(response.Body)
		status = response.StatusCode
		return err == nil && status < http.StatusInternalServerError
	}), "%s does not answer: status %d", path, status)
	require.Equal(t, http.StatusOK, status, string(text))
	require.NoError(t, json.Unmarshal(text, answer))
}

// awaitVersion waits until a version has a status, and returns what it says.
func (p *platform) awaitVersion(t *testing.T, version int, wanted string) (message string) {
	t.Helper()
	status := ""
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		err := p.db.QueryRowContext(ctx, `SELECT status, msg FROM worker_deploy_versions WHERE id = $1`, version).Scan(&status,
			&message)
		require.NoError(t, err)
		return status == wanted
	}), "version %d is %s (%s), not %s", version, status, message, wanted)
	return message
}

// pods returns the pods of a worker that are not ending.
func (p *platform) pods(t *testing.T, k worker) (running []corev1.Pod) {
	t.Helper()
	found, err := p.Kubernetes.CoreV1().Pods("worker").List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + k.name()})
	require.NoError(t, err)
	for _, pod := range found.Items {
		if pod.DeletionTimestamp == nil {
			running = append(running, pod)
		}
	}
	return running
}

// workerApps is where WorkerApps are read.
func (p *platform) workerApps() dynamic.ResourceInterface {
	return p.Dynamic.Resource(workerapp.Resource()).Namespace("worker")
}

// routes is where routes of the ingress are read and written.
func (p *platform) routes() dynamic.ResourceInterface {
	return p.Dynamic.Resource(schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1",
		Resource: "ingressroutes"}).Namespace("ingress")
}

// waitFor waits until done says so, and tells whether it did in time.
func waitFor(ctx context.Context, done func(ctx context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for !done(ctx) {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}
