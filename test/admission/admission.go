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
// ends. It returns when they are; name is an object of the kind.
func Refuse(t *testing.T, c *kube.Clients, resource schema.GroupVersionResource, namespace, name string, operations ...admissionv1.OperationType) {
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
					Rule:       admissionv1.Rule{APIGroups: []string{resource.Group}, APIVersions: []string{resource.Version}, Resources: []string{resource.Resource}},
				}}},
			},
			Validations: []admissionv1.Validation{{
				Expression: "!has(request.options.fieldManager) || request.options.fieldManager != '" + kube.FieldManager + "'",
				Message:    "the operator's policy forbids it",
			}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, policies.Delete(context.Background(), policy, metav1.DeleteOptions{})) })
	_, err = bindings.Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: policy, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bindings.Delete(context.Background(), policy, metav1.DeleteOptions{})) })
	require.Eventually(t, func() bool {
		_, err := c.Dynamic.Resource(resource).Namespace(namespace).Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"labels":{"tried":"x"}}}`),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: kube.FieldManager})
		return apierrors.IsInvalid(err)
	}, limit, tick, "nothing is refused")
}
