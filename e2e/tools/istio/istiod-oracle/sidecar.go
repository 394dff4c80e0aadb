package main

import (
	"maps"
	"strconv"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"istio.io/istio/pilot/pkg/model"
	istioroute "istio.io/istio/pilot/pkg/networking/core/route"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/pkg/xds/endpoints"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/config/protocol"
	"istio.io/istio/pkg/slices"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/util/sets"
)

// istioVersion of the caller's sidecar: that of the pinned module.
const istioVersion = "1.31.0"

// sidecar is everything that istiod sends one sidecar.
type sidecar struct {
	simulation *simulation.Simulation
	listeners  []*listener.Listener
	routes     map[string]*route.RouteConfiguration
	clusters   map[string]*cluster.Cluster
	endpoints  map[string]*endpoint.ClusterLoadAssignment
	extensions []*core.TypedExtensionConfig
	addresses  func(cluster string) []string
	// defaultRoute is that of a service without any rule.
	defaultRoute *route.Route
	// port is what is spoken on a cluster's port.
	port func(cluster string) protocol.Instance
	// unruled is the full sidecar in the mesh without DestinationRules; nil for a scoped one.
	unruled func() sidecar
}

// sidecar asks istiod for the caller's configuration, with the Sidecar of a scope or without.
func (server istiod) sidecar(t test.Failer, caller Caller, scope *int) sidecar {
	labels := maps.Clone(caller.Labels)
	if scope != nil {
		labels[scopeLabel] = strconv.Itoa(*scope)
	}
	proxy := server.SetupProxy(&model.Proxy{
		ConfigNamespace: caller.Namespace,
		Labels:          labels,
		IPAddresses:     []string{caller.Address},
		Metadata: &model.NodeMetadata{
			Namespace:      caller.Namespace,
			Labels:         labels,
			IstioVersion:   istioVersion,
			ServiceAccount: caller.ServiceAccount,
			ClusterID:      "Kubernetes",
		},
	})
	push := server.PushContext()
	listeners := server.Listeners(proxy)
	made := sidecar{
		listeners:    listeners,
		clusters:     xdstest.ExtractClusters(server.Clusters(proxy)),
		endpoints:    map[string]*endpoint.ClusterLoadAssignment{},
		defaultRoute: istioroute.BuildDefaultHTTPOutboundRoute("", "", push.Mesh),
		addresses: func(name string) []string {
			_, _, host, _ := model.ParseSubsetKey(name)
			service := proxy.SidecarScope.GetService(host)
			if service == nil {
				return nil
			}
			return service.GetAllAddressesForProxy(proxy)
		},
	}
	made.port = func(name string) protocol.Instance {
		_, _, host, number := model.ParseSubsetKey(name)
		service := proxy.SidecarScope.GetService(host)
		if service == nil {
			return protocol.Unsupported
		}
		port, known := service.Ports.GetByPort(number)
		if !known {
			return protocol.Unsupported
		}
		return port.Protocol
	}
	routes := once(server.RoutesFromListeners(proxy, listeners))
	made.routes = xdstest.ExtractRouteConfigurations(routes)
	for name, one := range made.clusters {
		if one.GetType() == cluster.Cluster_EDS {
			builder := endpoints.NewEndpointBuilder(name, proxy, push)
			made.endpoints[name] = builder.BuildClusterLoadAssignment(server.Env().EndpointIndex)
		}
	}
	made.extensions = server.ConfigGen.BuildExtensionConfiguration(proxy, push, discovered(listeners), nil)
	made.simulation = &simulation.Simulation{Listeners: listeners, Routes: routes}
	return made
}

// once has the first route configuration of each name: listeners for the pods of a headless service have one name, which a sidecar asks for
// once.
func once(routes []*route.RouteConfiguration) []*route.RouteConfiguration {
	names := sets.New[string]()
	return slices.FilterInPlace(routes, func(one *route.RouteConfiguration) bool {
		return !names.InsertContains(one.GetName())
	})
}
