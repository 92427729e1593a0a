// Package content decides what a worker's pods find in their environment: what of it is known from the cluster, what is
// reserved for the platform, and by which hash a change of it is noticed.
package content

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

// The reserved keys. They stand in the Secret only; users can neither set nor change them.
const (
	EndpointKey  = "COMBINATOR_API_ENDPOINT"
	OwnerKey     = "RAYSAIL_UID"
	SecretKeyKey = "RAYSAIL_SECRET_KEY"
)

// shownLength is how much of a faulty name a message repeats.
const shownLength = 64

// Reserved returns the reserved keys with their values for a worker of ownerID.
func Reserved(ownerID, secretKey, combinatorNamespace string) map[string][]byte {
	return map[string][]byte{
		EndpointKey:  []byte("http://combinator." + combinatorNamespace + ".svc.cluster.local:8899"),
		OwnerKey:     []byte(ownerID),
		SecretKeyKey: []byte(secretKey),
	}
}

// Known returns the content as the cluster holds it, and whether that may be relied on: both objects are there and
// complete, they hold the content of the WorkerApp's task, and nobody edited the ConfigMap or the owner's key since.
func Known(app *workerapp.WorkerApp, configMap *corev1.ConfigMap, secret *corev1.Secret) (rollout.Content, bool) {
	if configMap == nil || secret == nil || len(configMap.BinaryData) > 0 {
		return rollout.Content{}, false
	}
	for _, key := range []string{EndpointKey, OwnerKey, SecretKeyKey} {
		if _, ok := secret.Data[key]; !ok {
			return rollout.Content{}, false
		}
	}
	if configMap.Annotations[workerapp.TaskAnnotation] != app.Annotations[workerapp.TaskAnnotation] {
		return rollout.Content{}, false
	}
	secretKey := string(secret.Data[SecretKeyKey])
	if configMap.Annotations[children.ContentAnnotation] != ConfigHash(secretKey, configMap.Data) {
		return rollout.Content{}, false
	}
	return rollout.Content{Env: configMap.Data, SecretKey: secretKey}, true
}

// Environment returns the user's environment without the reserved keys. An error names the first key, in the order of
// the alphabet, that cannot be the name of an environment variable; it never tells a value.
func Environment(env map[string]string) (map[string]string, error) {
	clean := maps.Clone(env)
	for _, key := range []string{EndpointKey, OwnerKey, SecretKeyKey} {
		delete(clean, key)
	}
	for _, key := range slices.Sorted(maps.Keys(clean)) {
		if len(validation.IsEnvVarName(key)) > 0 || len(validation.IsConfigMapKey(key)) > 0 {
			return nil, fmt.Errorf("environment: %s cannot be the name of a variable; use letters, digits and '_', "+
				"beginning with a letter or '_', at most %d characters", show(key), validation.DNS1123SubdomainMaxLength)
		}
	}
	return clean, nil
}

// Merge returns the Secret's data as it will be: the reserved keys over what is found, whose other keys are the user's.
func Merge(found *corev1.Secret, reserved map[string][]byte) map[string][]byte {
	merged := map[string][]byte{}
	if found != nil {
		maps.Copy(merged, found.Data)
	}
	maps.Copy(merged, reserved)
	return merged
}

func show(key string) string {
	if runes := []rune(key); len(runes) > shownLength {
		key = string(runes[:shownLength]) + "…"
	}
	return fmt.Sprintf("%q", strings.ToValidUTF8(key, "?"))
}
