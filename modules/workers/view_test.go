package workers_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/workers/admin"
	"app238.com/inner/modules/workers/internal/cluster"
)

func TestRouteIsComparedWithTheConfiguredDomainOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, "w1", workerObjects(workerapp.Name("w1", "u1"), b.namespace, "example.test"))
	for domain, want := range map[string]bool{"example.test": false, "": false, "other.test": true} {
		c := *b.db.Config
		c.Domain = domain
		view, err := cluster.NewViewer(b.clients, &c).View(t.Context(), admin.Worker{WorkerID: "w1", UserUID: "u1", ActiveVersion: 1})
		require.NoError(t, err)
		ruleMissing := slices.ContainsFunc(view.Route.Problems, func(text string) bool {
			return strings.Contains(text, "has no rule for")
		})
		require.Equal(t, want, ruleMissing, "%q: %v", domain, view.Route.Problems)
	}
}
