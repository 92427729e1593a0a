package platform_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// enough is how many requests each kind of rollout is tried with.
const enough = 2000

// testWay rolls workers through versions while requests come, of which none may fail.
func testWay(t *testing.T, p *platform) {
	for _, replicas := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d pods", replicas), func(t *testing.T) {
			t.Parallel()
			k := p.worker(t, fmt.Sprintf("way%d", replicas), replicas)
			p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
			answered := time.Now()
			requireServed(t, k, "one")
			require.Less(t, time.Since(answered), 2*time.Second, "a first deploy serves 2 s after its success")
			versions := map[string]int{}
			for _, rollout := range []struct {
				name, tag, words, status string
				port, lost               int
			}{
				{"same port", "2", "two", "success", 8080, 0},
				{"another port", "3", "three", "success", 9090, 0},
				{"crashing, on another port", "crashing", "three", "error", 9091, 0},
				// What comes to a container at the moment of its death is lost by its own doing: it was Ready.
				{"dies after seconds", "dying", "three", "error", 8080, 5},
				{"back", "1", "one", "success", 8080, 0},
			} {
				t.Run(rollout.name, func(t *testing.T) {
					f := start(t, k.host())
					versions[rollout.name] = p.deploy(t, k, rollout.tag, rollout.port)
					message := p.awaitVersion(t, versions[rollout.name], rollout.status)
					t.Logf("%s %s", rollout.status, message)
					f.awaitWords(t, rollout.words)
					f.end(t, rollout.lost)
				})
			}
			t.Run("an earlier version again", func(t *testing.T) {
				f := start(t, k.host())
				p.ask(t, "/api/acceptTask", map[string]any{"task_type": "worker.deploy_worker", "task_info": map[string]any{
					"worker_id": k.id, "user_uid": "u1", "version_id": versions["another port"]}}, &struct{}{})
				f.awaitWords(t, "three")
				p.awaitVersion(t, versions["another port"], "success")
				f.end(t, 0)
			})
		})
	}
}
