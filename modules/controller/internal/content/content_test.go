package content_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/internal/content"
	"app238.com/inner/modules/controller/workerapp"
)

type bundle struct {
	app       *workerapp.WorkerApp
	configMap *corev1.ConfigMap
	secret    *corev1.Secret
}

func setup() bundle {
	env := map[string]string{"A": "1"}
	return bundle{
		app: &workerapp.WorkerApp{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{workerapp.TaskAnnotation: "5"}}},
		configMap: &corev1.ConfigMap{Data: env, ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
			workerapp.TaskAnnotation: "5", children.ContentAnnotation: content.ConfigHash("sk_1", env),
		}}},
		secret: &corev1.Secret{Data: content.Reserved("u1", "sk_1", "combinator")},
	}
}

func TestContentInClusterIsUsed(t *testing.T) {
	t.Parallel()
	b := setup()
	b.secret.Data["USER"] = []byte("x")
	known, ok := content.Known(b.app, b.configMap, b.secret)
	require.True(t, ok)
	require.Equal(t, map[string]string{"A": "1"}, known.Env)
	require.Equal(t, "sk_1", known.SecretKey)
}

func TestRunningTaskProvesItsContent(t *testing.T) {
	t.Parallel()
	b := setup()
	hash := b.configMap.Annotations[children.ContentAnnotation]
	b.app.Annotations[workerapp.TaskAnnotation] = "6"
	require.Equal(t, b.app.Annotations, content.OriginFor(b.app, b.configMap, hash), "no task runs")
	b.app.Status = workerapp.Status{Phase: workerapp.Running, Task: 5}
	_, ok := content.Known(b.app, b.configMap, b.secret)
	require.False(t, ok, "an earlier task runs")
	require.Equal(t, b.configMap.Annotations, content.OriginFor(b.app, b.configMap, hash))
	require.Equal(t, b.app.Annotations, content.OriginFor(b.app, b.configMap, "other"))
	require.Equal(t, b.app.Annotations, content.OriginFor(b.app, nil, hash))
	b.app.Status.Task = 6
	_, ok = content.Known(b.app, b.configMap, b.secret)
	require.True(t, ok)
	running := conditions.State{Phase: workerapp.Running}
	b.app.Status = conditions.Recorded(b.app, b.app.Status, running, nil, time.Now())
	b.app.Status.Phase = workerapp.Failed
	_, ok = content.Known(b.app, b.configMap, b.secret)
	require.True(t, ok, "it has run")
	b.app.Generation = 2
	_, ok = content.Known(b.app, b.configMap, b.secret)
	require.False(t, ok, "another generation ran")
	require.Equal(t, b.app.Annotations, content.OriginFor(b.app, b.configMap, hash))
}

func TestUnreliableContentIsNotUsed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *bundle){
		"no ConfigMap":         func(b *bundle) { b.configMap = nil },
		"no Secret":            func(b *bundle) { b.secret = nil },
		"no secret key":        func(b *bundle) { delete(b.secret.Data, content.SecretKeyKey) },
		"no endpoint":          func(b *bundle) { delete(b.secret.Data, content.EndpointKey) },
		"no owner":             func(b *bundle) { delete(b.secret.Data, content.OwnerKey) },
		"new task":             func(b *bundle) { b.app.Annotations[workerapp.TaskAnnotation] = "6" },
		"value edited":         func(b *bundle) { b.configMap.Data["A"] = "2" },
		"key added":            func(b *bundle) { b.configMap.Data["B"] = "" },
		"key removed":          func(b *bundle) { b.configMap.Data = nil },
		"bytes added":          func(b *bundle) { b.configMap.BinaryData = map[string][]byte{"B": nil} },
		"secret key edited":    func(b *bundle) { b.secret.Data[content.SecretKeyKey] = []byte("sk_2") },
		"ConfigMap of another": func(b *bundle) { b.configMap.Annotations = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup()
			change(&b)
			_, ok := content.Known(b.app, b.configMap, b.secret)
			require.False(t, ok)
		})
	}
}

func TestReservedKeysMatchContract(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string][]byte{
		"COMBINATOR_API_ENDPOINT": []byte("http://combinator.comb.svc.cluster.local:8899"),
		"RAYSAIL_UID":             []byte("u1"),
		"RAYSAIL_SECRET_KEY":      []byte("sk_1"),
	}, content.Reserved("u1", "sk_1", "comb"))
}

func TestUsersCannotSetReservedKeys(t *testing.T) {
	t.Parallel()
	given := map[string]string{"A": "1", "RAYSAIL_UID": "x", "RAYSAIL_SECRET_KEY": "x", "COMBINATOR_API_ENDPOINT": "x"}
	env, err := content.Environment(given)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "1"}, env)
	require.Len(t, given, 4, "the argument is not changed")
	none, err := content.Environment(nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestInvalidVariableIsNamedWithoutValue(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "1A", "A B", "A=B", "ä", "..", ".", "../x", strings.Repeat("A", 254), "A\x00"} {
		_, err := content.Environment(map[string]string{"OK": "fine", key: "marker-value"})
		require.ErrorContains(t, err, "cannot be the name of a variable", key)
		require.NotContains(t, err.Error(), "marker-value")
		require.Less(t, len(err.Error()), 400)
	}
	for _, key := range []string{"A", "_", "a.b-c", "A1", strings.Repeat("A", 253)} {
		_, err := content.Environment(map[string]string{key: ""})
		require.NoError(t, err, key)
	}
	_, err := content.Environment(map[string]string{"2": "", "1": ""})
	require.ErrorContains(t, err, `"1"`)
}

func TestMergeKeepsUserKeysAndOverwritesReserved(t *testing.T) {
	t.Parallel()
	existing := &corev1.Secret{Data: map[string][]byte{"USER": []byte("x"), content.OwnerKey: []byte("forged")}}
	merged := content.Merge(existing, content.Reserved("u1", "sk_1", "c"))
	require.Equal(t, "x", string(merged["USER"]))
	require.Equal(t, "u1", string(merged[content.OwnerKey]))
	require.Equal(t, "forged", string(existing.Data[content.OwnerKey]), "the cached object is not changed")
	require.Len(t, content.Merge(nil, content.Reserved("u1", "sk_1", "c")), 3)
}

func TestPodHashDependsOnEveryPart(t *testing.T) {
	t.Parallel()
	type secret = map[string][]byte
	type env = map[string]string
	base := content.PodHash("k", env{"A": "1", "B": "2"}, secret{"S": []byte("3")})
	require.Len(t, base, 64)
	require.Equal(t, base, content.PodHash("k", env{"B": "2", "A": "1"}, secret{"S": []byte("3")}))
	hashes := map[string]bool{base: true}
	for _, hash := range []string{
		content.PodHash("l", env{"A": "1", "B": "2"}, secret{"S": []byte("3")}),
		content.PodHash("k", env{"A": "1", "B": "3"}, secret{"S": []byte("3")}),
		content.PodHash("k", env{"A": "1"}, secret{"S": []byte("3")}),
		content.PodHash("k", env{"A": "1B2"}, secret{"S": []byte("3")}),
		content.PodHash("k", env{"A": "1", "B": "2", "S": "3"}, nil),
		content.PodHash("k", nil, secret{"A": []byte("1"), "B": []byte("2"), "S": []byte("3")}),
		content.PodHash("k", env{"A": "1", "B": "2"}, secret{"S": []byte("4")}),
		content.PodHash("k", env{"A": "1", "B": "2"}, nil),
	} {
		require.False(t, hashes[hash])
		hashes[hash] = true
	}
}
