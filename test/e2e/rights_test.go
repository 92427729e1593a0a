package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"app238.com/inner/test/pods"
)

// rights are what configs/deploy gives Inner, moved to a fixture's namespaces: a namespace's rules, those of the cluster as a
// whole under "".
type rights map[string][]rbacv1.PolicyRule

// manifests builds the base of configs/deploy with components that modes of http.access need.
func manifests(t *testing.T, components ...string) []map[string]any {
	t.Helper()
	root, err := filepath.Abs("../../configs/deploy")
	require.NoError(t, err)
	folder := t.TempDir()
	deploy, err := filepath.Rel(folder, root)
	require.NoError(t, err)
	overlay := fmt.Sprintf("resources: [%s/base]\ncomponents:\n", deploy)
	for _, component := range components {
		overlay += fmt.Sprintf("  - %s/components/%s\n", deploy, component)
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(overlay), 0o600))
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	require.NoError(t, err)
	var all []map[string]any
	for _, resource := range built.Resources() {
		object, err := resource.Map()
		require.NoError(t, err)
		all = append(all, object)
	}
	return all
}

// grant makes the ServiceAccount of these manifests, gives it exactly the rights that stand there, and returns a token of it.
func (w *fixture) grant(t *testing.T, manifests []map[string]any) (given rights, token string) {
	t.Helper()
	given = rights{}
	rbac, moved := w.clients.Typed.RbacV1(), map[string]string{
		"console": w.namespaces.Control, "worker": w.namespaces.Worker, "ingress": w.namespaces.Ingress,
		"combinator": w.namespaces.Combinator,
	}
	// What belongs to no namespace needs a name that no other test has.
	own := func(name string) string { return name + "-" + w.namespaces.Control }
	for _, object := range manifests {
		var err error
		switch object["kind"] {
		case "ClusterRole":
			role := read[rbacv1.ClusterRole](t, object)
			role.Name = own(role.Name)
			given[""] = append(given[""], role.Rules...)
			_, err = rbac.ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{})
		case "ClusterRoleBinding":
			binding := read[rbacv1.ClusterRoleBinding](t, object)
			binding.Name, binding.RoleRef.Name = own(binding.Name), own(binding.RoleRef.Name)
			move(binding.Subjects, moved)
			_, err = rbac.ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{})
		case "Role":
			role := read[rbacv1.Role](t, object)
			role.Namespace = moved[role.Namespace]
			given[role.Namespace] = append(given[role.Namespace], role.Rules...)
			_, err = rbac.Roles(role.Namespace).Create(t.Context(), role, metav1.CreateOptions{})
		case "RoleBinding":
			binding := read[rbacv1.RoleBinding](t, object)
			binding.Namespace = moved[binding.Namespace]
			move(binding.Subjects, moved)
			_, err = rbac.RoleBindings(binding.Namespace).Create(t.Context(), binding, metav1.CreateOptions{})
		case "ServiceAccount":
			account := read[corev1.ServiceAccount](t, object)
			token = w.account(t, moved[account.Namespace], account.Name, "")
		}
		require.NoError(t, err)
	}
	return given, token
}

// read turns a manifest into the type of its kind.
func read[T any](t *testing.T, object map[string]any) *T {
	t.Helper()
	var typed T
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object, &typed))
	return &typed
}

func move(subjects []rbacv1.Subject, moved map[string]string) {
	for i := range subjects {
		subjects[i].Namespace = moved[subjects[i].Namespace]
	}
}

// account makes a ServiceAccount and returns a token of it, for this audience or else for the API server.
func (w *fixture) account(t *testing.T, namespace, name, audience string) (token string) {
	t.Helper()
	accounts := w.clients.Typed.CoreV1().ServiceAccounts(namespace)
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	request := &authenticationv1.TokenRequest{}
	if audience != "" {
		request.Spec.Audiences = []string{audience}
	}
	answer, err := accounts.CreateToken(t.Context(), name, request, metav1.CreateOptions{})
	require.NoError(t, err)
	return answer.Status.Token
}

// unneeded returns the rights that none of the actions made use of.
func (r rights) unneeded(used []action) []string {
	var unneeded []string
	for namespace, rules := range r {
		for _, rule := range rules {
			for _, path := range rule.NonResourceURLs {
				unneeded = append(unneeded, "path "+path)
			}
			for _, one := range single(namespace, rule) {
				if !slices.ContainsFunc(used, one.allows) {
					unneeded = append(unneeded, one.String())
				}
			}
		}
	}
	return unneeded
}

// right is one verb on one resource of one namespace; name is "" for objects of every name.
type right struct{ action }

// single takes a rule apart.
func single(namespace string, rule rbacv1.PolicyRule) []right {
	var all []right
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				for _, name := range names {
					all = append(all, right{action{verb: verb, group: group, resource: resource, namespace: namespace, name: name}})
				}
			}
		}
	}
	return all
}

func (r right) allows(a action) bool {
	return a.verb == r.verb && a.group == r.group && a.resource == r.resource && a.namespace == r.namespace &&
		(r.name == "" || r.name == a.name)
}

// podOfOuter has the routes of tasks ask for a pod of the control namespace, and makes one with this machine's address.
func (w *fixture) podOfOuter(t *testing.T) {
	t.Helper()
	w.reconfigure(t, "access: {", fmt.Sprintf("access: {tasks: {mode: pods, namespace: %s, labels: app=outer-gateway}, ",
		w.namespaces.Control))
	pods.NewCombinator(t, w.clients.Typed, w.namespaces.Control, "outer", "127.0.0.1", func(pod *corev1.Pod) {
		pod.Labels = map[string]string{"app": "outer-gateway"}
	})
}

// TestDeployedPermissionsAreSufficientAndNeeded plays everything that Inner does in a cluster.
func TestDeployedPermissionsAreSufficientAndNeeded(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.ownNamespaces(t)
	granted, token := w.grant(t, manifests(t, "token-access", "pod-access"))
	require.Len(t, granted, 5, "rights in four namespaces and in the cluster")
	require.NotEmpty(t, token)
	api := newRecorder(t, os.Getenv("INNER_TEST_KUBECONFIG"), token)
	w.reconfigure(t, os.Getenv("INNER_TEST_KUBECONFIG"), api.Kubeconfig(filepath.Join(t.TempDir(), "kubeconfig")))
	w.user(t, "u1", "sk_e2e")
	t.Cleanup(func() {
		if refused, _ := api.seen(); t.Failed() && len(refused) > 0 {
			t.Log("refused by the API server:\n" + strings.Join(refused, "\n"))
		}
	})
	w.configure(t, auditing)
	w.names(t, customDomain, customValue)
	w.tenants(t)
	notices, outer := w.pods(t), w.tokenOfOuter(t)
	w.podOfOuter(t)

	first := w.start(t)
	k := w.actWorkers(t, first, outer)
	w.actDomain(t)
	w.actCombinator(t, first, notices)
	// An API server without streaming lists, as older ones are, is asked to list. This one takes over from the first.
	w.reconfigure(t, "controller: {", "controller: {networkPolicy: {enabled: false}, ")
	second := w.start(t, "KUBE_FEATURE_WatchListClient=false")
	first.stop()
	w.actDrift(t, k)
	w.actStatus(t, k)
	w.actAudit(t, second)
	w.actDelete(t, second, k)
	w.awaitEveryJobType(t, second)
	second.stop()

	refused, used := api.seen()
	require.Empty(t, refused, "refused by the API server:\n%s", strings.Join(refused, "\n"))
	unneeded := granted.unneeded(used)
	require.Empty(t, unneeded, "rights that nothing made use of:\n%s", strings.Join(unneeded, "\n"))
	require.NotContains(t, w.log(t), "forbidden")
}

// access returns the status of /readyz and the result of its check of http.access.
func (i *inner) access(t *testing.T) (status int, text string) {
	t.Helper()
	status, answer := i.get(t, "/readyz")
	var readiness struct {
		Checks   map[string]string `json:"checks"`
		Degraded []string          `json:"degraded"`
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &readiness), answer)
	text = readiness.Checks["access"]
	require.Equal(t, text != "ok", slices.Contains(readiness.Degraded, "access"), answer)
	return status, text
}

// TestMissingRightToPodsIsNamed has Inner ask for pods before the component that gives the right is applied.
func TestMissingRightToPodsIsNamed(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.ownNamespaces(t)
	_, token := w.grant(t, manifests(t))
	api := newRecorder(t, os.Getenv("INNER_TEST_KUBECONFIG"), token)
	w.reconfigure(t, os.Getenv("INNER_TEST_KUBECONFIG"), api.Kubeconfig(filepath.Join(t.TempDir(), "kubeconfig")))
	w.reconfigure(t, "http: {", "http: {access: {}, ")
	w.podOfOuter(t)
	w.user(t, "u1", "sk_e2e")
	const task = `{"task_type":"auth.register_user","task_info":{"user_uid":"u1"}}`

	i := w.start(t)
	require.Eventually(t, func() bool {
		status, text := i.access(t)
		return status == http.StatusOK &&
			text == "http.access.tasks: no right to list and watch pods in namespace "+w.namespaces.Control
	}, timeout, 100*time.Millisecond, "the missing right is not named")
	begin := time.Now()
	status, answer := i.post(t, "/api/acceptTask", task)
	require.Equal(t, http.StatusServiceUnavailable, status, answer)
	require.Less(t, time.Since(begin), 15*time.Second, "half of http.requestTimeout: it waits for a right")

	w.grant(t, slices.DeleteFunc(manifests(t, "pod-access"), func(object map[string]any) bool {
		metadata, _ := object["metadata"].(map[string]any)
		return metadata["name"] != "inner-gateway-pod-access"
	}))
	require.Eventually(t, func() bool {
		status, _ := i.post(t, "/api/acceptTask", task)
		_, text := i.access(t)
		return status == http.StatusOK && text == "ok"
	}, timeout, 100*time.Millisecond, "the right is not used")
}
