"""What a cluster's API server has of its Services and nodes, as objects of Kubernetes. Pure."""
from .cluster import node_address, node_outer_address

SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
NODES = "/api/v1/nodes"


def lists(cluster):
    """Path of each list to its objects."""
    by_object = {}
    for service in cluster.services.values():
        by_object.setdefault(service.object, []).append(service)
    return {
        SERVICES: [_service(ports) for ports in by_object.values()],
        SLICES: [piece for ports in by_object.values() for service in ports
                 for piece in _slices(service, len(ports) > 1, cluster.pods)],
        NODES: [_node(number) for number in (1, 2)],
    }


def _metadata(service, name, **more):
    return {"namespace": service.namespace, "name": name, **more}


def _port_name(service, several):
    """A port may be without a name where it is the only one."""
    return {"name": service.name} if several else {}


def _service(ports):
    """The Service that has these ports."""
    first = ports[0]
    addresses = ["None"] if first.headless else [first.v4, first.v6]
    spec = {"clusterIP": addresses[0], "clusterIPs": addresses, "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": "RequireDualStack", "type": "ClusterIP",
            "ports": [{**_port_name(service, len(ports) > 1), "protocol": service.protocol.upper(), "port": service.port,
                       "targetPort": service.backends[0][1],
                       **({"nodePort": service.node_port} if service.node_port else {})} for service in ports]}
    status = {"loadBalancer": {}}
    if first.node_port or first.outside:
        spec["type"] = "LoadBalancer" if first.outside else "NodePort"
        spec["externalTrafficPolicy"] = "Local" if first.local else "Cluster"
    if first.outside:
        spec["externalIPs"] = [first.external_address(family) for family in (4, 6)]
        status["loadBalancer"]["ingress"] = [{"ip": first.balancer_address(family)} for family in (4, 6)]
    return {"metadata": _metadata(first, first.object.split("/")[1]), "spec": spec, "status": status}


def _slices(service, several, pods):
    """A slice for each family and target port: the endpoints of a slice have the same ports."""
    for family in (4, 6):
        for target in sorted({port for _, port in service.backends}):
            yield {
                "metadata": _metadata(service, f"{service.name}-{target}-ipv{family}", labels={
                    "kubernetes.io/service-name": service.object.split("/")[1]}),
                "addressType": f"IPv{family}",
                "ports": [{**_port_name(service, several), "protocol": service.protocol.upper(), "port": target}],
                "endpoints": [{"addresses": [pods[name].address(family)], "nodeName": f"node{pods[name].node}",
                               "conditions": {"ready": True, "serving": True, "terminating": False}}
                              for name, port in service.backends if port == target]}


def _node(number):
    return {"metadata": {"name": f"node{number}"}, "status": {"addresses": [
        *[{"type": "InternalIP", "address": node_address(number, family)} for family in (4, 6)],
        *[{"type": "ExternalIP", "address": node_outer_address(number, family)} for family in (4, 6)],
        {"type": "Hostname", "address": f"node{number}"}]}}
