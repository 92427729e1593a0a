package children

import (
	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// What a program without capabilities may not listen on unless its network is told so. The setting is among those that
// Kubernetes' pod security standards call safe.
const (
	unprivilegedPorts  = 1024
	portStartParameter = "net.ipv4.ip_unprivileged_port_start"
)

// podSecurity follows the pod security standards: "baseline", and "restricted" where images may not run as root.
func (b Builder) podSecurity(app *workerapp.WorkerApp) *corev1ac.PodSecurityContextApplyConfiguration {
	security := corev1ac.PodSecurityContext().
		WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if b.Pods.RunAsNonRoot {
		security.WithRunAsNonRoot(true)
	}
	if app.Spec.Port < unprivilegedPorts {
		security.WithSysctls(corev1ac.Sysctl().WithName(portStartParameter).WithValue("0"))
	}
	return security
}

func containerSecurity() *corev1ac.SecurityContextApplyConfiguration {
	return corev1ac.SecurityContext().WithAllowPrivilegeEscalation(false).
		WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))
}
