package main

import (
	"net"
	"slices"
	"strconv"
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pilot/pkg/model"
)

// Service is what stands behind a plain default route, or a plain TCP cluster.
type Service struct {
	// Addresses of the service, as this sidecar sees them.
	Addresses []string `json:"addresses"`
	// Endpoints as IP:port.
	Endpoints []string `json:"endpoints"`
	// Mutual: there are endpoints, and each is called over Istio mTLS.
	Mutual     bool     `json:"mutual"`
	ServerName string   `json:"server_name,omitempty"`
	Identities []string `json:"identities,omitempty"`
}

// plain is the service that a route sends to, or what it is that shapes the requests.
func (sidecar sidecar) plain(host *route.VirtualHost, taken *route.Route, call Call) (*Service, string) {
	if len(host.Routes) != 1 || taken.Name != "default" || taken.GetMetadata() != nil || taken.GetMatch().GetPrefix() != "/" {
		return nil, "routes"
	}
	return sidecar.plainCluster(taken.GetRoute().GetCluster(), call)
}

// plainCluster is the service that a cluster sends to, or what it is that shapes the traffic.
func (sidecar sidecar) plainCluster(name string, call Call) (*Service, string) {
	target, known := sidecar.clusters[name]
	if !known {
		return nil, "no cluster"
	}
	if isRuled(target) && (sidecar.unruled == nil || !sidecar.unruled().hasCluster(target, sidecar.endpoints[name])) {
		return nil, "DestinationRule"
	}
	if _, subset, _, _ := model.ParseSubsetKey(name); subset != "" {
		return nil, "subset"
	}
	if !proto.Equal(target.GetConnectTimeout(), sidecar.connectTimeout) && !isRuled(target) {
		return nil, "EnvoyFilter"
	}
	assignment := sidecar.endpoints[name]
	for _, group := range assignment.GetEndpoints() {
		if group.GetPriority() > 0 {
			return nil, "locality"
		}
	}
	return sidecar.service(target, assignment, call), ""
}

// isDialled tells whether a cluster connects a call to where it was dialled, as it is: to that very address, or to one that
// the name of its server has.
func (sidecar sidecar) isDialled(name string, call Call) bool {
	target := sidecar.clusters[name]
	if isRuled(target) || target.GetTransportSocket() != nil || len(target.GetTransportSocketMatches()) > 0 {
		return false
	}
	switch target.GetType() {
	case cluster.Cluster_ORIGINAL_DST:
		return true
	case cluster.Cluster_STRICT_DNS, cluster.Cluster_LOGICAL_DNS:
		groups := target.GetLoadAssignment().GetEndpoints()
		if len(groups) != 1 || len(groups[0].GetLbEndpoints()) != 1 {
			return false
		}
		address := groups[0].GetLbEndpoints()[0].GetEndpoint().GetAddress().GetSocketAddress()
		return strings.EqualFold(address.GetAddress(), call.Host) && int(address.GetPortValue()) == call.Port
	}
	return false
}

func isRuled(target *cluster.Cluster) bool {
	_, ruled := target.GetMetadata().GetFilterMetadata()["istio"].GetFields()["config"]
	return ruled
}

// hasCluster tells whether the sidecar has this very cluster, but for what it says about itself.
func (sidecar sidecar) hasCluster(target *cluster.Cluster, assignment *endpoint.ClusterLoadAssignment) bool {
	own, known := sidecar.clusters[target.Name]
	if !known {
		return false
	}
	own, target = proto.Clone(own).(*cluster.Cluster), proto.Clone(target).(*cluster.Cluster)
	own.Metadata, target.Metadata = nil, nil
	return proto.Equal(own, target) && proto.Equal(sidecar.endpoints[target.Name], assignment)
}

func (sidecar sidecar) service(target *cluster.Cluster, assignment *endpoint.ClusterLoadAssignment, call Call) *Service {
	service := &Service{Addresses: sidecar.addresses(target.Name), Mutual: true}
	if target.GetType() == cluster.Cluster_ORIGINAL_DST {
		service.Endpoints = []string{net.JoinHostPort(call.Address, strconv.Itoa(call.Port))}
	}
	for _, group := range assignment.GetEndpoints() {
		for _, one := range group.GetLbEndpoints() {
			address := one.GetEndpoint().GetAddress().GetSocketAddress()
			service.Endpoints = append(service.Endpoints,
				net.JoinHostPort(address.GetAddress(), strconv.Itoa(int(address.GetPortValue()))))
			mode := one.GetMetadata().GetFilterMetadata()["envoy.transport_socket_match"].GetFields()[model.TLSModeLabelShortname]
			service.Mutual = service.Mutual && mode.GetStringValue() == model.IstioMutualTLSModeLabel
		}
	}
	context := mutual(target)
	service.Mutual = service.Mutual && context != nil && len(service.Endpoints) > 0
	service.ServerName = context.GetSni()
	validation := context.GetCommonTlsContext().GetCombinedValidationContext().GetDefaultValidationContext()
	for _, name := range validation.GetMatchTypedSubjectAltNames() {
		service.Identities = append(service.Identities, name.GetMatcher().GetExact())
	}
	slices.Sort(service.Identities)
	return service
}

// mutual is how the cluster calls endpoints that speak Istio mTLS; nil where it does not.
func mutual(target *cluster.Cluster) *tls.UpstreamTlsContext {
	sockets := []*core.TransportSocket{target.GetTransportSocket()}
	for _, match := range target.GetTransportSocketMatches() {
		sockets = append(sockets, match.GetTransportSocket())
	}
	for _, socket := range sockets {
		context := &tls.UpstreamTlsContext{}
		if socket.GetTypedConfig() != nil && socket.GetTypedConfig().UnmarshalTo(context) == nil {
			return context
		}
	}
	return nil
}
