package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// rights are the Roles and RoleBindings of configs/deploy, moved to a world's namespaces.
type rights struct{ roles []rbacv1.Role }

// grant makes the ServiceAccount of configs/deploy and gives it exactly the rights that stand there.
func (w *world) grant(t *testing.T) (r rights, token string) {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../../configs/deploy/base")
	require.NoError(t, err)
	moved := map[string]string{
		"console": w.namespaces.Control, "worker": w.namespaces.Worker, "ingress": w.namespaces.Ingress, "combinator": w.namespaces.Combinator,
	}
	for _, resource := range built.Resources() {
		object, err := resource.Map()
		require.NoError(t, err)
		switch resource.GetKind() {
		case "ClusterRole", "ClusterRoleBinding":
			t.Fatalf("%s gives rights in the whole cluster", resource.GetName())
		case "Role":
			var role rbacv1.Role
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object, &role))
			role.Namespace = moved[role.Namespace]
			_, err = w.clients.Typed.RbacV1().Roles(role.Namespace).Create(t.Context(), &role, metav1.CreateOptions{})
			r.roles = append(r.roles, role)
		case "RoleBinding":
			var binding rbacv1.RoleBinding
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object, &binding))
			binding.Namespace = moved[binding.Namespace]
			for i := range binding.Subjects {
				binding.Subjects[i].Namespace = moved[binding.Subjects[i].Namespace]
			}
			_, err = w.clients.Typed.RbacV1().RoleBindings(binding.Namespace).Create(t.Context(), &binding, metav1.CreateOptions{})
		case "ServiceAccount":
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: resource.GetName()}}
			accounts := w.clients.Typed.CoreV1().ServiceAccounts(w.namespaces.Control)
			_, err = accounts.Create(t.Context(), account, metav1.CreateOptions{})
			require.NoError(t, err)
			answer, tokenErr := accounts.CreateToken(t.Context(), account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
			require.NoError(t, tokenErr)
			token = answer.Status.Token
		}
		require.NoError(t, err)
	}
	require.NotEmpty(t, r.roles)
	require.NotEmpty(t, token)
	return r, token
}

// unneeded returns the rights that none of the actions made use of.
func (r rights) unneeded(used []action) []string {
	var unneeded []string
	for _, role := range r.roles {
		for _, rule := range role.Rules {
			for _, one := range single(role.Namespace, rule) {
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
	return a.verb == r.verb && a.group == r.group && a.resource == r.resource && a.namespace == r.namespace && (r.name == "" || r.name == a.name)
}

// TestInnerDoesAllItsWorkUnderTheDeployedRightsAndNeedsEachOfThem plays everything that Inner does in a cluster.
func TestInnerDoesAllItsWorkUnderTheDeployedRightsAndNeedsEachOfThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ownNamespaces(t)
	granted, token := w.grant(t)
	api := newRecorder(t, os.Getenv("INNER_TEST_KUBECONFIG"), token)
	w.reconfigure(t, os.Getenv("INNER_TEST_KUBECONFIG"), api.kubeconfig(filepath.Join(t.TempDir(), "kubeconfig")))
	w.user(t, "u1", "sk_e2e")
	t.Cleanup(func() {
		if refused, _ := api.seen(); t.Failed() && len(refused) > 0 {
			t.Log("refused by the API server: " + strings.Join(refused, "\n"))
		}
	})

	w.configure(t, auditing)
	w.names(t, customDomain, customValue)
	i := w.start(t)
	k := w.actWorkers(t, i)
	w.actDomain(t)
	w.actCombinator(t, i)
	i.stop()
	// An API server without streaming lists, as older ones are, is asked to list.
	w.reconfigure(t, "controller: {", "controller: {networkPolicy: {enabled: false}, ")
	i = w.start(t, "KUBE_FEATURE_WatchListClient=false")
	w.actDrift(t, k)
	w.actStatus(t)
	w.actAudit(t, i)
	w.actDelete(t, i, k)
	i.stop()

	refused, used := api.seen()
	require.Empty(t, refused, "refused by the API server:\n%s", strings.Join(refused, "\n"))
	unneeded := granted.unneeded(used)
	require.Empty(t, unneeded, "rights that nothing made use of:\n%s", strings.Join(unneeded, "\n"))
	require.NotContains(t, w.log(t), "forbidden")
}
