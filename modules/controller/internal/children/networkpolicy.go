package children

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"app238.com/inner/modules/controller/workerapp"
)

const dnsPort = 53

// Policy builds the NetworkPolicy N: it allows ingress from the ingress namespace, and egress to DNS, Combinator and the
// internet, but neither to other tenants' pods nor to Inner. It allows every port, since pods may listen on two during a rollout.
func (b Builder) Policy(app *workerapp.WorkerApp) (Child, error) {
	spec := networkingv1ac.NetworkPolicySpec().
		WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(selector(app))).
		WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
		WithIngress(networkingv1ac.NetworkPolicyIngressRule().WithFrom(namespace(b.IngressNamespace))).
		WithEgress(
			b.dns(),
			networkingv1ac.NetworkPolicyEgressRule().WithTo(namespace(b.CombinatorNamespace).
				WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{workerapp.AppLabel: combinatorApp}))),
			networkingv1ac.NetworkPolicyEgressRule().WithTo(b.internet()...),
		)
	c, err := child(app, Policies(), networkingv1ac.NetworkPolicy(app.Name, b.WorkerNamespace).
		WithOwnerReferences(owner(app)).WithSpec(spec))
	c.Replaceable, c.Absent = true, !b.NetworkPolicy.Enabled
	return c, err
}

func (b Builder) dns() *networkingv1ac.NetworkPolicyEgressRuleApplyConfiguration {
	rule := networkingv1ac.NetworkPolicyEgressRule().WithTo(namespace(b.NetworkPolicy.DNSNamespace))
	for _, network := range b.NetworkPolicy.DNSNetworks {
		rule.WithTo(peer(networkingv1ac.IPBlock().WithCIDR(network)))
	}
	for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
		rule.WithPorts(networkingv1ac.NetworkPolicyPort().WithProtocol(protocol).WithPort(intstr.FromInt32(dnsPort)))
	}
	return rule
}

// internet returns every address outside the private networks.
func (b Builder) internet() []*networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	four, six := networkingv1ac.IPBlock().WithCIDR("0.0.0.0/0"), networkingv1ac.IPBlock().WithCIDR("::/0")
	for _, network := range b.NetworkPolicy.PrivateNetworks {
		if prefix, err := netip.ParsePrefix(network); err == nil && prefix.Addr().Is4() {
			four.WithExcept(network)
		} else {
			six.WithExcept(network)
		}
	}
	return []*networkingv1ac.NetworkPolicyPeerApplyConfiguration{peer(four), peer(six)}
}

func namespace(name string) *networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	return networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(
		metav1ac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: name}))
}

func peer(block *networkingv1ac.IPBlockApplyConfiguration) *networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	return networkingv1ac.NetworkPolicyPeer().WithIPBlock(block)
}
