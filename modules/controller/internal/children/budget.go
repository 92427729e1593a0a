package children

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// Budget builds the PodDisruptionBudget N, which allows one eviction at a time. A worker with one pod has none, since it would
// block the drain of a node. Unready pods can always be evicted.
func (b Builder) Budget(app *workerapp.WorkerApp) (Child, error) {
	spec := policyv1ac.PodDisruptionBudgetSpec().WithMaxUnavailable(intstr.FromInt32(1)).
		WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
		WithSelector(metav1ac.LabelSelector().WithMatchLabels(selector(app)))
	c, err := child(app, Budgets(), policyv1ac.PodDisruptionBudget(app.Name, b.WorkerNamespace).
		WithOwnerReferences(owner(app)).WithSpec(spec))
	c.Replaceable, c.Absent = true, Replicas(app) < 2
	return c, err
}
