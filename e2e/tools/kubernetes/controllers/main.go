// Command controllers runs the few of kube-controller-manager's controllers that a mesh cannot do without:
// EndpointSlices follow pods, a namespace that is deleted goes away, and every namespace has a ServiceAccount.
// The whole kube-controller-manager would take a minute more to build, and several times the memory.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

const (
	workers              = 2
	maxEndpointsPerSlice = 100
	// kube-controller-manager's own default: changes to a Service's pods are not gathered.
	endpointBatchPeriod = 0
	namespaceResync     = 5 * time.Minute
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach kube-apiserver")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig); err != nil {
		klog.ErrorS(err, "cannot run the controllers")
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	// The client's own rate limit is for shared clusters; here it would only slow the tests down.
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	shared := informers.NewSharedInformerFactory(client, 0)
	start, err := controllers(ctx, config, client, shared)
	if err != nil {
		return err
	}
	shared.Start(ctx.Done())
	for _, controller := range start {
		go controller()
	}
	<-ctx.Done()
	return nil
}

func controllers(
	ctx context.Context,
	config *rest.Config,
	client kubernetes.Interface,
	shared informers.SharedInformerFactory,
) ([]func(), error) {
	core := shared.Core().V1()
	slices := endpointslice.NewController(
		ctx, core.Pods(), core.Services(), core.Nodes(), shared.Discovery().V1().EndpointSlices(),
		maxEndpointsPerSlice, client, endpointBatchPeriod,
	)
	accounts, err := serviceaccount.NewServiceAccountsController(
		klog.FromContext(ctx), core.ServiceAccounts(), core.Namespaces(), client,
		serviceaccount.DefaultServiceAccountsControllerOptions(),
	)
	if err != nil {
		return nil, err
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	namespaces := namespace.NewNamespaceController(
		ctx, client, objects, client.Discovery().ServerPreferredNamespacedResources,
		core.Namespaces(), namespaceResync, v1.FinalizerKubernetes,
	)
	return []func(){
		func() { slices.Run(ctx, workers) },
		func() { accounts.Run(ctx, workers) },
		func() { namespaces.Run(ctx, workers) },
	}, nil
}
