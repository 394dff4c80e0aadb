// Command kafka is a cluster of two Kafka brokers in one process. Clients are told the address of the pod and a port of
// each broker, as of a StatefulSet.
package main

import (
	"log"
	"net"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	address, err := podAddress()
	if err != nil {
		log.Fatal(err)
	}
	listen := func(network, local string) (net.Listener, error) {
		_, port, err := net.SplitHostPort(local)
		if err != nil {
			return nil, err
		}
		// What a broker listens on is what clients are told.
		return net.Listen(network, net.JoinHostPort(address, port))
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(9092, 9093),
		kfake.SeedTopics(2, "lab"),
		kfake.ListenFn(listen),
	)
	if err != nil {
		log.Fatal(err)
	}
	// Whoever writes to both partitions has to reach both brokers.
	for partition := range int32(2) {
		if err := cluster.MoveTopicPartition("lab", partition, partition); err != nil {
			log.Fatal(err)
		}
	}
	select {}
}

// podAddress is the address that packets to anywhere else leave from.
func podAddress() (string, error) {
	// Nothing is sent: UDP only looks the route up.
	probe, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		return "", err
	}
	defer probe.Close()
	host, _, err := net.SplitHostPort(probe.LocalAddr().String())
	return host, err
}
