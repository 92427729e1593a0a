package workerapp

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"app238.com/inner/app/config"
)

// CheckLimits returns an error that names every field, as its row does, that asks for more than the operator lets a worker have. What
// is no quantity is the controller's to judge.
func (s Spec) CheckLimits(limits config.Limits) error {
	var causes []string
	exceeds := func(field, value, setting, limit string) {
		causes = append(causes, fmt.Sprintf("%s: %s is more than %s, the most that a worker can have (controller.limits.%s)", field, value, limit, setting))
	}
	for _, q := range []struct{ field, value, setting, limit string }{
		{"assigned_cpu", s.AssignedCPU, "cpu", limits.CPU},
		{"assigned_memory", s.AssignedMemory, "memory", limits.Memory},
		{"assigned_disk", s.AssignedDisk, "disk", limits.Disk},
	} {
		most, err := resource.ParseQuantity(q.limit)
		if err != nil {
			return fmt.Errorf("controller.limits.%s: %w", q.setting, err)
		}
		if value, err := resource.ParseQuantity(q.value); err == nil && value.Cmp(most) > 0 {
			exceeds(q.field, q.value, q.setting, q.limit)
		}
	}
	if s.MaxReplicas > limits.Replicas {
		exceeds("max_replicas", fmt.Sprint(s.MaxReplicas), "replicas", fmt.Sprint(limits.Replicas))
	}
	if len(causes) == 0 {
		return nil
	}
	return errors.New(strings.Join(causes, "; "))
}
