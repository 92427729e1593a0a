package platform_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/cmd/image/oci"
	"app238.com/inner/cmd/image/spec"
	"app238.com/inner/test/stack/build"
)

// earlierSettings gives the settings the names that they have in that release.
var earlierSettings = strings.NewReplacer("scanInterval", "lookInterval", "resyncInterval", "passInterval")

// cached is for how long caches keep the addresses of pods: those of that release's rollouts are lost meanwhile.
const cached = 30 * time.Second

// testEarlierRelease takes the way back to that release, and the way forward again, while requests and tasks come. Going forward
// none is lost. Going back, that release leads requests to pods by their names, which caches keep for longer than the pods are
// there.
func testEarlierRelease(t *testing.T, p *platform) {
	p.earlierImage(t)
	p.image(t, "3")
	workers := []worker{p.worker(t, "back1", 1), p.worker(t, "back2", 2)}
	for _, k := range workers {
		p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
		requireServed(t, k, "one")
	}
	back, sent := start(t, workers[1].host()), p.sendTasks(t)
	settings := p.settings
	p.settings = earlierSettings.Replace(settings)
	p.roll(t, "earlier")
	p.settings = settings
	for _, k := range workers {
		p.awaitMovedBack(t, k)
		requireServed(t, k, "one")
	}
	back.halt(t)
	sent.end(t)
	fresh := p.worker(t, "back3", 1)
	p.awaitVersion(t, p.deploy(t, fresh, "2", 8080), "success")
	requireServed(t, fresh, "two")
	workers = append(workers, fresh)
	// Nothing tells what a cache holds.
	<-time.After(cached)

	var traffics []*traffic
	for _, k := range workers {
		traffics = append(traffics, start(t, k.host()))
	}
	sent = p.sendTasks(t)
	p.roll(t, "3")
	for i, k := range workers {
		p.awaitMoved(t, k)
		traffics[i].end(t, 0)
	}
	sent.end(t)
}

// awaitMovedBack waits until a worker is reached by its headless Service alone, and its Deployment is as that release has it.
func (p *platform) awaitMovedBack(t *testing.T, k worker) {
	t.Helper()
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		d, err := p.Kubernetes.AppsV1().Deployments("worker").Get(ctx, k.name(), metav1.GetOptions{})
		require.NoError(t, err)
		return p.external(ctx, t, k).ExternalName == k.name()+".worker.svc.cluster.local" &&
			d.Spec.Template.Spec.Containers[0].Ports[0].Name == "" &&
			d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == d.Status.Replicas &&
			d.Status.AvailableReplicas == *d.Spec.Replicas
	}), "%s is not moved back", k.id)
}

// earlierImage makes that release's image of its program, which withnode built before: the sandbox has no network.
func (p *platform) earlierImage(t *testing.T) {
	t.Helper()
	program, err := build.EarlierRelease(t.Context(), build.Options{Log: t.Output()})
	if errors.Is(err, build.ErrNoHistory) {
		t.Skip(err)
	}
	require.NoError(t, err)
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	index, err := spec.Inner("earlier", spec.Commit{Time: time.Unix(0, 0)}).Index(
		oci.Program{Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH}, Content: content})
	require.NoError(t, err)
	archive := filepath.Join(t.TempDir(), "inner.tar")
	require.NoError(t, oci.Write(archive, innerImage+":earlier", index))
	p.Import(t, archive)
}
