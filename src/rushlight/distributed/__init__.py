"""`torch.distributed` for groups of one process: what programs that can run on many do when they run on one.

Everything is there that such programs call, and gives what PyTorch gives in a group of one. Groups of several processes are refused.
"""

from __future__ import annotations

from rushlight import late

_PLACES = {
    "world": (
        "Backend GroupMember HashStore ProcessGroup ReduceOp Store Work destroy_process_group get_backend get_global_rank "
        "get_group_rank get_process_group_ranks get_rank get_world_size group init_process_group is_available "
        "is_backend_available is_gloo_available is_initialized is_mpi_available is_nccl_available is_torchelastic_launched "
        "is_ucc_available is_xccl_available new_group"
    ),
    "collectives": (
        "all_gather all_gather_into_tensor all_gather_object all_reduce all_to_all all_to_all_single barrier broadcast "
        "broadcast_object_list gather gather_object irecv isend monitored_barrier recv reduce reduce_scatter "
        "reduce_scatter_tensor scatter scatter_object_list send"
    ),
}

#: names that PyTorch has and this package lacks are said to be missing
__getattr__, __dir__ = late.names("rushlight.distributed", _PLACES, modules="algorithms nn")

__all__ = late.listed(_PLACES)
