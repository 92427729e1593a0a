package children

import (
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// ConfigMap builds N-env, whose data becomes the pods' environment. contentHash is that of env: it tells later whether
// somebody edited the data. origin are the annotations of the task that is noted here, in the object that is written last of the
// two that hold content: once it is there, the content of that task is.
func (b Builder) ConfigMap(app *workerapp.WorkerApp, env map[string]string, contentHash string, origin map[string]string) (Child, error) {
	annotations := map[string]string{ContentAnnotation: contentHash}
	copyAnnotation(annotations, origin, workerapp.TaskAnnotation)
	copyAnnotation(annotations, origin, workerapp.DatabaseAnnotation)
	c, err := child(app, ConfigMaps(), corev1ac.ConfigMap(workerapp.EnvName(app.Name), b.WorkerNamespace).
		WithAnnotations(annotations).
		WithOwnerReferences(owner(app)).WithData(env))
	c.Replaceable = true
	return c, err
}

// Secret builds N-secret with the reserved keys. Keys of the user in the same object are not ours: server-side apply
// leaves them alone.
func (b Builder) Secret(app *workerapp.WorkerApp, reserved map[string][]byte) (Child, error) {
	return child(app, Secrets(), corev1ac.Secret(workerapp.SecretName(app.Name), b.WorkerNamespace).
		WithOwnerReferences(owner(app)).WithData(reserved))
}

func copyAnnotation(to, from map[string]string, key string) {
	if value, ok := from[key]; ok {
		to[key] = value
	}
}
