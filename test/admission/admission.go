// Package admission has a real API server refuse what Inner writes, by a policy like those of operators.
package admission

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/app/kube"
)

const (
	limit = 30 * time.Second
	tick  = 50 * time.Millisecond
)

// Refuse has these operations on objects of a kind be refused in a namespace, if it is Inner that asks for them, until the test
// ends. It returns when they are; name is an object of the kind. The reason is Invalid, a policy's default, or another one.
func Refuse(t *testing.T, c *kube.Clients, resource schema.GroupVersionResource, namespace, name string,
	reason metav1.StatusReason,
	operations ...admissionv1.OperationType,
) {
	t.Helper()
	policy := "refuse-" + strings.ToLower(rand.Text())
	policies := c.Typed.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	bindings := c.Typed.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	_, err := policies.Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: policy},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: operations,
					Rule: admissionv1.Rule{APIGroups: []string{resource.Group}, APIVersions: []string{resource.Version},
						Resources: []string{resource.Resource}},
				}}},
			},
			Validations: []admissionv1.Validation{{
				Expression: "!has(request.options.fieldManager) || request.options.fieldManager != '" + kube.FieldManager + "'",
				Message:    "the operator's policy forbids it",
				Reason:     &reason,
			}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, policies.Delete(context.Background(), policy, metav1.DeleteOptions{})) })
	_, err = bindings.Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: policy,
			ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bindings.Delete(context.Background(), policy, metav1.DeleteOptions{})) })
	await(t, c, resource, namespace, name, reason)
}

// await returns when a change of an object by Inner would be refused for the reason.
func await(t *testing.T, c *kube.Clients, resource schema.GroupVersionResource, namespace, name string,
	reason metav1.StatusReason) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := c.Dynamic.Resource(resource).Namespace(namespace).Patch(t.Context(), name, types.MergePatchType,
			[]byte(`{"metadata":{"labels":{"tried":"x"}}}`),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: kube.FieldManager})
		return apierrors.ReasonForError(err) == reason
	}, limit, tick, "nothing is refused")
}

// Break has every change of objects of a kind fail in a namespace until the test ends, since a webhook that has to be asked is
// away. It returns when they do; name is an object of the kind.
func Break(t *testing.T, c *kube.Clients, resource schema.GroupVersionResource, namespace, name string) {
	t.Helper()
	hook := "away-" + strings.ToLower(rand.Text()) + ".test.example"
	url, always, none, seconds := "https://127.0.0.1:1/", admissionv1.Fail, admissionv1.SideEffectClassNone, int32(1)
	hooks := c.Typed.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := hooks.Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: hook},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: hook, ClientConfig: admissionv1.WebhookClientConfig{URL: &url}, FailurePolicy: &always, SideEffects: &none,
			TimeoutSeconds: &seconds, AdmissionReviewVersions: []string{"v1"},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
				Rule: admissionv1.Rule{APIGroups: []string{resource.Group}, APIVersions: []string{resource.Version},
					Resources: []string{resource.Resource}},
			}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hooks.Delete(context.Background(), hook, metav1.DeleteOptions{})) })
	await(t, c, resource, namespace, name, metav1.StatusReasonInternalError)
}

// Exhaust has objects of a kind in a namespace be no more than there are until the test ends: a quota forbids the next one. It
// returns when it does; name is an object of the kind.
func Exhaust(t *testing.T, c *kube.Clients, resource schema.GroupVersionResource, namespace, name string) {
	t.Helper()
	quotas := c.Typed.CoreV1().ResourceQuotas(namespace)
	none := corev1.ResourceList{corev1.ResourceName("count/" + resource.Resource + "." + resource.Group): *apiresource.NewQuantity(0,
		apiresource.DecimalSI)}
	quota, err := quotas.Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: none},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	// The controller that counts does not run in every test cluster.
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	_, err = quotas.UpdateStatus(t.Context(), quota, metav1.UpdateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, quotas.Delete(context.Background(), quota.Name, metav1.DeleteOptions{})) })
	objects := c.Dynamic.Resource(resource).Namespace(namespace)
	next, err := objects.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	next.SetName("next")
	next.SetResourceVersion("")
	require.Eventually(t, func() bool {
		_, err := objects.Create(t.Context(), next, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsForbidden(err)
	}, limit, tick, "the quota allows one more")
}
