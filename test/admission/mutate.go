package admission

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/kube"
)

// probe is the name of a ConfigMap that is never made.
const probe = "probe-of-the-webhook"

// Mutate has a webhook change what Inner writes of a kind in a namespace by a JSON patch, until the test ends. It returns when
// the API server asks the webhook.
func Mutate(t *testing.T, c *kube.Clients, resource schema.GroupVersionResource, namespace, patch string) {
	t.Helper()
	hook(t, c, resource, namespace, func(response *admissionv1.AdmissionResponse) {
		response.PatchType, response.Patch = new(admissionv1.PatchTypeJSONPatch), []byte(patch)
	})
}

// Deny has a webhook deny what Inner writes of a kind in a namespace, with an HTTP status and words, until the test ends. It
// returns when the API server asks the webhook.
func Deny(t *testing.T, c *kube.Clients, resource schema.GroupVersionResource, namespace string, code int32, words string) {
	t.Helper()
	hook(t, c, resource, namespace, func(response *admissionv1.AdmissionResponse) {
		response.Allowed, response.Result = false, &metav1.Status{Code: code, Message: words}
	})
}

// hook has a webhook answer about what Inner writes of a kind in a namespace; answer begins as a permission.
func hook(t *testing.T, c *kube.Clients, resource schema.GroupVersionResource, namespace string,
	answer func(*admissionv1.AdmissionResponse)) {
	t.Helper()
	var asked atomic.Bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, "no review", http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		if review.Request.Name == probe {
			asked.Store(true)
		} else if review.Request.Resource.Resource == resource.Resource {
			answer(review.Response)
		}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	name := "hook-" + strings.ToLower(rand.Text()) + ".example.test"
	none, all := registrationv1.SideEffectClassNone, registrationv1.Fail
	hooks := c.Typed.AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := hooks.Create(t.Context(), &registrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []registrationv1.MutatingWebhook{{
			Name: name, SideEffects: &none, FailurePolicy: &all, AdmissionReviewVersions: []string{"v1"},
			ClientConfig: registrationv1.WebhookClientConfig{URL: &server.URL,
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			MatchConditions: []registrationv1.MatchCondition{{Name: "of-inner",
				Expression: "has(request.options.fieldManager) && request.options.fieldManager == '" + kube.FieldManager + "'"}},
			Rules: []registrationv1.RuleWithOperations{{
				Operations: []registrationv1.OperationType{registrationv1.Create, registrationv1.Update},
				Rule: registrationv1.Rule{APIGroups: []string{resource.Group, corev1.GroupName}, APIVersions: []string{"*"},
					Resources: []string{resource.Resource, "configmaps"}},
			}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hooks.Delete(context.Background(), name, metav1.DeleteOptions{})) })
	require.Eventually(t, func() bool {
		_, err := c.Typed.CoreV1().ConfigMaps(namespace).Create(t.Context(),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: probe}},
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: kube.FieldManager})
		return err == nil && asked.Load()
	}, limit, tick, "the webhook is not asked")
}
