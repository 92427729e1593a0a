package cluster

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/workers/internal/desired"
)

// Secrets is the client of the user's keys in the workers' Secrets, the only place where their values are stored. The
// reserved keys in the same Secrets are owned by the controller through server-side apply, so this client only merges.
type Secrets struct {
	clients   *kube.Clients
	namespace string
}

// NewSecrets returns the client.
func NewSecrets(clients *kube.Clients, c *config.Config) *Secrets {
	return &Secrets{clients: clients, namespace: c.Kubernetes.Namespaces.Worker}
}

func secrets() schema.GroupVersionResource { return corev1.SchemeGroupVersion.WithResource("secrets") }

// Get returns the data of a worker's Secret, and whether the Secret exists.
func (s *Secrets) Get(ctx context.Context, workerID, ownerID string) (map[string]string, bool, error) {
	found, err := s.clients.Get(ctx, secrets(), s.namespace, s.name(workerID, ownerID))
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var secret corev1.Secret
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, &secret); err != nil {
		return nil, true, fmt.Errorf("read the Secret: %w", err)
	}
	data := make(map[string]string, len(secret.Data))
	for key, value := range secret.Data {
		data[key] = string(value)
	}
	return data, true, nil
}

// Patch changes keys of an existing Secret in one request.
func (s *Secrets) Patch(ctx context.Context, workerID, ownerID string, change desired.SecretPatch) error {
	data := map[string]any{}
	for key, value := range change.Set {
		data[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	for _, key := range change.Remove {
		data[key] = nil
	}
	patch, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return fmt.Errorf("patch of the Secret: %w", err)
	}
	_, err = s.clients.MergePatch(ctx, secrets(), s.namespace, s.name(workerID, ownerID), patch)
	return err
}

// Create creates the Secret of a worker that was never deployed. It has no owner reference: the first deploy makes the
// WorkerApp its owner; until then a Remover deletes it.
func (s *Secrets) Create(ctx context.Context, workerID, ownerID string, values map[string]string) error {
	data := map[string]any{}
	for key, value := range values {
		data[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	secret := &unstructured.Unstructured{Object: map[string]any{"data": data, "type": string(corev1.SecretTypeOpaque)}}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	secret.SetNamespace(s.namespace)
	secret.SetName(s.name(workerID, ownerID))
	workerapp.SetIDs(secret, workerID, ownerID)
	_, err := s.clients.Create(ctx, secrets(), secret)
	return err
}

func (s *Secrets) name(workerID, ownerID string) string {
	return workerapp.SecretName(workerapp.Name(workerID, ownerID))
}
