package main

import (
	"maps"
	"strconv"
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"istio.io/istio/pilot/pkg/model"
	istioroute "istio.io/istio/pilot/pkg/networking/core/route"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/pkg/util/protoconv"
	"istio.io/istio/pilot/pkg/xds/endpoints"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/config/protocol"
	"istio.io/istio/pkg/slices"
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
	// named are the clusters that virtual hosts name, as far as they were asked for.
	named map[*route.VirtualHost][]string
	// defaultRoute is that of a service without any rule, but for its cluster.
	defaultRoute *route.Route
	// connectTimeout is that of a cluster without any patch.
	connectTimeout *durationpb.Duration
	// port is what is spoken on a cluster's port.
	port func(cluster string) protocol.Instance
	// unruled is the full sidecar in the mesh without DestinationRules; nil for a scoped one.
	unruled func() sidecar
}

// sidecar asks istiod for the caller's configuration in a mesh, with the Sidecar of a scope or without.
func (server istiod) sidecar(push *model.PushContext, caller Caller, scope *int) sidecar {
	server.Env().SetPushContext(push)
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
	listeners := server.Listeners(proxy)
	made := sidecar{
		listeners:      listeners,
		clusters:       xdstest.ExtractClusters(server.Clusters(proxy)),
		endpoints:      map[string]*endpoint.ClusterLoadAssignment{},
		named:          map[*route.VirtualHost][]string{},
		connectTimeout: push.Mesh.GetConnectTimeout(),
		defaultRoute:   bare(istioroute.BuildDefaultHTTPOutboundRoute("", "", push.Mesh)),
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
	made.simulation = &simulation.Simulation{Listeners: slices.Map(listeners, slim), Routes: routes}
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

// slim is a listener as far as the simulation looks at it: it decodes the connection manager for each call. Names of servers are in lower case,
// as Envoy has them.
func slim(full *listener.Listener) *listener.Listener {
	slim := proto.Clone(full).(*listener.Listener)
	for _, chain := range append(slim.GetFilterChains(), slim.GetDefaultFilterChain()) {
		if match := chain.GetFilterChainMatch(); len(match.GetServerNames()) > 0 {
			match.ServerNames = slices.Map(match.ServerNames, strings.ToLower)
		}
		for _, filter := range chain.GetFilters() {
			manager := &hcm.HttpConnectionManager{}
			if filter.GetTypedConfig().UnmarshalTo(manager) == nil {
				routes := &hcm.HttpConnectionManager{RouteSpecifier: manager.RouteSpecifier}
				filter.ConfigType = &listener.Filter_TypedConfig{TypedConfig: protoconv.MessageToAny(routes)}
			}
		}
	}
	return slim
}
