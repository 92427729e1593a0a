package children

import (
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// All probes open a TCP connection to the port: that a program listens is all that is known of a tenant's image. Times
// are seconds.
const (
	// startPeriod is short, since a pod serves no earlier than its first success.
	startPeriod = 1
	// A program that took no connection for three readyPeriods gets no requests; after six livePeriods it is restarted.
	readyPeriod   = 5
	livePeriod    = 10
	liveFailures  = 6
	probeTimeout  = 2
	longestToLive = time.Hour
)

// probed leaves a program the whole progress deadline to start: the rollout fails before its container is killed for
// not listening, so the owner is told the reason.
func (b Builder) probed(container *corev1ac.ContainerApplyConfiguration, port int32) *corev1ac.ContainerApplyConfiguration {
	probe := func(period int32) *corev1ac.ProbeApplyConfiguration {
		return corev1ac.Probe().WithTCPSocket(corev1ac.TCPSocketAction().WithPort(intstr.FromInt32(port))).
			WithPeriodSeconds(period).WithTimeoutSeconds(probeTimeout)
	}
	starts := int32(min(b.ProgressDeadline, longestToLive).Seconds())/startPeriod + liveFailures
	return container.
		WithStartupProbe(probe(startPeriod).WithFailureThreshold(starts)).
		WithReadinessProbe(probe(readyPeriod)).
		WithLivenessProbe(probe(livePeriod).WithFailureThreshold(liveFailures))
}
